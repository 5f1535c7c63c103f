//! An operation against a state.

use namechain_core::{
    codec::Decode,
    consensus::{
        RuleViolation,
        block::{Anchor, check_operation_alone, check_times},
        context::{BlockContext, Multipliers},
        header::signing_context,
        state::{ApplyError, Tally},
        work::PowHasher,
    },
    types::{BlockTime, Operation},
};
use serde_json::Value;

use super::{JudgedState, bytes, network, number};

/// The entries after, or the rule that is broken.
pub fn judge_operation(case: &Value) -> Result<Vec<String>, &'static str> {
    judge(case).map_err(|violation| violation.id())
}

fn judge(case: &Value) -> Result<Vec<String>, RuleViolation> {
    let params = network(case).params();
    let operation =
        Operation::from_bytes(&bytes(&case["operation"])).map_err(RuleViolation::Encoding)?;
    let now = BlockTime { height: number(&case["height"]), time: number(&case["time"]) };
    let anchor = case["anchor"].as_object().map(|anchor| Anchor {
        at: BlockTime { height: number(&anchor["height"]), time: number(&anchor["time"]) },
        name_price: number(&anchor["name_price"]),
    });
    let anchor = check_times(&operation, anchor, now)?;
    let signing = signing_context(params, number(&case["branch"]));
    check_operation_alone(params, &signing, &operation, &mut PowHasher::new(params.network))?;
    let price =
        Multipliers { names: number(&case["name_price"]), bytes: number(&case["byte_price"]) };
    let context = BlockContext { now, parent_time: now.time, price };
    let mut state = JudgedState::read(params, &case["state"]);
    let (before, index) = (state.encoded(), number(&case["index"]));
    let applied = Tally::default().apply(params, context, &operation, index, anchor, &mut state);
    match applied {
        Ok(()) => Ok(state.encoded()),
        Err(ApplyError::Rule(violation)) => {
            assert_eq!(state.encoded(), before, "what is refused changes nothing");
            Err(violation)
        }
        Err(ApplyError::State(never)) => match never {},
    }
}
