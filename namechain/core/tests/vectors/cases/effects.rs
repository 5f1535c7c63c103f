//! What operations do, where no rule is near.

use super::*;

pub fn cases() -> Vec<Case> {
    let kinds = [COMMIT, REGISTER].into_iter().chain(CHANGES);
    let mut cases: Vec<Case> =
        kinds.map(|kind| good(kind).accepted("effects", "as it usually is")).collect();
    for kind in CHANGES {
        // Whatever a kind does not name stays.
        let rescued = |entry: &mut NameE| entry.rescued = (7, 8);
        let mut case = good(kind).entry(rescued);
        let usual = case.set.clone();
        case.set = Rc::new(move |state, op, ctx| usual(state, op, ctx));
        cases.push(case.accepted("effects", "earlier rescues"));
    }
    cases.extend([
        good(REGISTER)
            .op(|op| (op.fields, op.work) = (register_fields(None, &[0, 0]), 256))
            .accepted_as(None, vec![0, 0], "without a recovery key and records"),
        good(UPDATE).entry(|entry| entry.transfer = None).accepted("effects", "no transfer waits"),
        good(UPDATE)
            .entry(|entry| entry.recovery = None)
            .accepted("effects", "there is no recovery key"),
    ]);
    cases
}

impl Case {
    /// As [`Case::accepted`], for a Register of other fields.
    fn accepted_as(self, recovery: Option<u8>, records: Vec<u8>, about: &str) -> Case {
        let mut case = self.accepted("effects", about);
        case.set = register::registered("alice", OWNER, recovery, records);
        case
    }
}
