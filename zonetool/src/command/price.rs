//! `price`: what registering a name costs now, in expected hashes and in time on this machine.

use std::fmt::Write as _;

use namechain_core::{
    consensus::price,
    types::{Name, Network},
};
use serde::Serialize;

use super::{input::parse_name, query::synced_status};
use crate::{cli::PriceArgs, client::Client, error::CommandError, pow, ui::Ui};

/// A name of each length that has a price of its own; longer names cost what the last costs.
const EXAMPLES: [&str; 4] = ["abc", "abcd", "abcde", "abcdef"];

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Prices {
    network: Network,
    /// The height of the tip.
    height: u32,
    /// What this machine tries in a second.
    hashes_per_second: f64,
    prices: Vec<LengthPrice>,
}

#[derive(Debug, Serialize)]
struct LengthPrice {
    /// The name that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    /// The number of characters.
    length: usize,
    /// Whether longer names cost the same.
    or_longer: bool,
    /// The least work that a block takes, in expected hashes.
    price: u64,
    /// The work that would be done.
    work: u64,
}

/// Runs the command.
///
/// # Errors
/// If the name is none or is reserved, or the node does not answer.
pub fn run(ui: Ui, client: &Client, args: &PriceArgs) -> Result<(), CommandError> {
    let asked = args.name.as_deref().map(parse_name).transpose()?;
    if let Some((name, why)) = asked.as_ref().and_then(|name| Some((name, name.reserved()?))) {
        return Err(CommandError::Reserved(name.clone(), why));
    }
    let network = synced_status(client)?.network;
    let now = client.price()?;
    let price_of = |name: &Name| price::registration(network.params(), name, now.name_multiplier);
    let names = match &asked {
        Some(name) => vec![name.clone()],
        None => EXAMPLES.iter().filter_map(|name| Name::parse(name).ok()).collect(),
    };
    let prices = names.iter().map(|name| LengthPrice {
        name: asked.clone(),
        length: name.as_str().len(),
        or_longer: asked.is_none() && name.as_str().len() == EXAMPLES[EXAMPLES.len() - 1].len(),
        price: price_of(name),
        work: pow::with_margin(price_of(name)),
    });
    let prices = Prices {
        network,
        height: now.height,
        hashes_per_second: pow::measure_rate(network),
        prices: prices.collect(),
    };
    Ok(ui.print_result(&describe(&prices), &prices)?)
}

fn describe(prices: &Prices) -> String {
    let mut text = format!(
        "prices at height {} of {}; this machine tries {:.0} hashes a second\n",
        prices.height, prices.network, prices.hashes_per_second
    );
    for it in &prices.prices {
        let what = match (&it.name, it.or_longer) {
            (Some(name), _) => name.to_string(),
            (None, true) => format!("{} characters or more", it.length),
            (None, false) => format!("{} characters", it.length),
        };
        let time = pow::describe_estimate(it.work, prices.hashes_per_second);
        // Writing to a String never fails.
        let _ = writeln!(text, "{what:<20}  {} expected hashes\n{:22}{time}", it.price, "");
    }
    text + "The work is a quarter more than the price, so that a rising price does not refuse it."
}
