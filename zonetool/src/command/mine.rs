//! `mine`: mines blocks through a node.

use std::time::Duration;

use serde::Serialize;

use crate::{
    cli,
    client::{Client, ClientError},
    clock,
    error::CommandError,
    interrupt,
    mine::{cores, header_of, search},
    ui::{Ui, counted, escape_line},
};

/// For how long one template is worked on: its time is fixed, and the later the easier.
const ROUND: Duration = Duration::from_secs(5);
/// The pause when there is no reason to mine.
const PAUSE: Duration = Duration::from_secs(2);

/// A block that was mined, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Mined {
    id: namechain_core::types::Hash,
    height: u32,
    operations: usize,
    /// Whether it became the tip; if not, another block came first.
    tip: bool,
}

/// Runs the command.
///
/// # Errors
/// If the node does not answer, or refuses a block.
pub fn run(ui: Ui, client: &Client, args: &cli::Mine) -> Result<(), CommandError> {
    let network = client.status()?.network;
    let threads = args.threads.map_or_else(cores, usize::from);
    let (mut nonce, mut mined) = (0, 0);
    let _notice = interrupt::notice(
        ui,
        "mining",
        "blocks that were mined stay; a search has no memory, so none of it is lost",
    );
    let mut progress = ui.progress();
    while args.blocks.is_none_or(|wanted| mined < wanted) {
        let template = match client.mining_template() {
            // It has just been started, or catches up.
            Err(ClientError::Refused(refusal)) if refusal.code == "unavailable" => {
                progress.show(None, &escape_line(&refusal.message));
                clock::sleep(PAUSE);
                continue;
            }
            template => template?,
        };
        if !template.wanted && !args.always {
            progress.show(None, &format!("nothing waits for block {}", template.height));
            clock::sleep(PAUSE);
            continue;
        }
        progress
            .show(None, &format!("block {}: {} expected hashes", template.height, template.work));
        let header = header_of(client, &template)?;
        let Some(header) = search(network, &header, threads, ROUND, &mut nonce) else { continue };
        let block = match client.mined_header(&header) {
            // The tip has moved since.
            Err(ClientError::Refused(refusal)) if refusal.code == "not-found" => {
                continue;
            }
            block => block?,
        };
        mined += 1;
        let what = if block.tip { "" } else { ", but another block came first" };
        let text = format!(
            "mined block {} with {}{what}",
            block.height,
            counted(template.operations as u64, "operation")
        );
        let shown = Mined {
            id: block.id,
            height: block.height,
            operations: template.operations,
            tip: block.tip,
        };
        ui.print_line(&text, &shown)?;
    }
    Ok(())
}
