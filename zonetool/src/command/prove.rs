//! `prove NAME`: prints a proof file.

use namechain_core::api_types::ProofInfo;

use super::{input::parse_name, query::synced_status};
use crate::{cli::Prove, client::Client, error::CommandError, proof::ProofFile, ui::Ui};

/// Runs the command. The node's proof is verified before it is printed.
pub fn run(ui: Ui, client: &Client, args: &Prove) -> Result<(), CommandError> {
    let name = parse_name(&args.name)?;
    // For a given height the node need not be synced: the header shows how old the state is.
    let network = match args.height {
        Some(_) => client.status()?.network,
        None => synced_status(client)?.network,
    };
    let info = client.proof(&name, args.height)?;
    let ProofInfo { height, .. } = info;
    let mut file = ProofFile::of(network, info);
    let header = file.header().and_then(|header| file.verify(&header).map(|_| header));
    let header = header.map_err(|error| client.bad_answer(error.to_string()))?;
    if file.name != name || args.height.unwrap_or(height) != header.height {
        return Err(client.bad_answer("its proof is of another name or height").into());
    }
    if let Some(against) = args.against {
        file = file.with_place(client.place(&header.id(network), against)?);
        let later = file.against().map_err(|error| client.bad_answer(error.to_string()))?;
        let later = later.filter(|later| later.height == against);
        let later =
            later.ok_or_else(|| client.bad_answer("its later header is at another height"))?;
        file.verify_place(&header, &later).map_err(|error| client.bad_answer(error.to_string()))?;
    }
    let text = serde_json::to_string_pretty(&file)
        .map_err(|error| client.bad_answer(error.to_string()))?;
    ui.print_result(&text, &file)?;
    Ok(())
}
