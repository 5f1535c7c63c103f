//! Detects forwarding loops: upstreams that are this resolver at another address, or that forward
//! to it.
//!
//! An upstream that timed out is sent a query for a name that does not exist and that only this
//! resolver knows: `TOKEN._namechain-loop.` below the zone that the upstream is asked for. If that
//! query arrives here, there is a loop. Other resolvers of this kind forward such queries even to
//! upstreams known to loop, so that each member of the loop detects it. Ordinary queries stay
//! unchanged: an upstream that replies never sees a test.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::target::Target;

/// The label below the token. With its underscore it is neither a host name nor a name of the
/// chain.
const LABEL: &[u8] = b"_namechain-loop";
/// Random bytes of a token.
const TOKEN_BYTES: usize = 16;
/// The most tests in progress.
const MAX_TESTS: usize = 64;

/// An unguessable number.
pub type Token = [u8; TOKEN_BYTES];

#[derive(Debug)]
struct SentProbe {
    target: Target,
    returned: bool,
}

/// The tests in progress.
#[derive(Debug, Default)]
pub struct LoopDetector(Mutex<HashMap<Token, SentProbe>>);

impl LoopDetector {
    /// Starts to wait for a token; false if there are too many already.
    pub fn register(&self, token: Token, target: &Target) -> bool {
        let mut out = self.lock();
        if out.len() >= MAX_TESTS {
            return false;
        }
        out.insert(token, SentProbe { target: target.clone(), returned: false });
        true
    }

    /// Records that a query with this token has arrived. Returns the target it was sent to, if the
    /// test is one of ours.
    pub fn on_probe(&self, token: &Token) -> Option<Target> {
        let mut out = self.lock();
        let out = out.get_mut(token)?;
        out.returned = true;
        Some(out.target.clone())
    }

    /// Ends the wait; whether the token has arrived.
    pub fn finish(&self, token: &Token) -> bool {
        self.lock().remove(token).is_some_and(|out| out.returned)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Token, SentProbe>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The question of a test below a zone (in wire form): type A, class IN.
pub fn question(token: &Token, zone: &[u8]) -> Vec<u8> {
    let digits = hex::encode(token);
    let mut wire = vec![digits.len() as u8];
    wire.extend_from_slice(digits.as_bytes());
    wire.push(LABEL.len() as u8);
    wire.extend_from_slice(LABEL);
    wire.extend_from_slice(zone);
    wire.extend_from_slice(&[0, 1, 0, 1]);
    wire
}

/// The token in a name or question in wire form, if it has one.
pub fn token(name: &[u8]) -> Option<Token> {
    let (digits, rest) =
        name.strip_prefix(&[2 * TOKEN_BYTES as u8])?.split_at_checked(2 * TOKEN_BYTES)?;
    let label = rest.strip_prefix(&[LABEL.len() as u8])?.get(..LABEL.len())?;
    let mut token = [0; TOKEN_BYTES];
    hex::decode_to_slice(digits, &mut token).ok()?;
    label.eq_ignore_ascii_case(LABEL).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{name, question as ordinary};

    #[test]
    fn a_token_is_found_in_its_question_in_any_case() {
        for zone in ["", "corp.example"] {
            let mut question = question(&[0xab; TOKEN_BYTES], &name(zone));
            assert_eq!(token(&question), Some([0xab; TOKEN_BYTES]));
            question.make_ascii_uppercase();
            assert_eq!(token(&question), Some([0xab; TOKEN_BYTES]));
        }
        for other in
            ["www.example", "", "_namechain-loop", "0123456789abcdef0123456789abcdef.example"]
        {
            assert_eq!(token(&ordinary(other, 1)), None, "{other}");
        }
        let no_digits = format!("{}._namechain-loop", "g".repeat(32));
        assert_eq!(token(&ordinary(&no_digits, 1)), None);
    }

    #[test]
    fn an_arrived_token_is_reported_at_the_end_and_tests_are_bounded() {
        let loops = LoopDetector::default();
        let target = Target::Plain(([192, 0, 2, 1], 53).into());
        assert!(
            loops.register([1; TOKEN_BYTES], &target) && loops.register([2; TOKEN_BYTES], &target)
        );
        assert_eq!(loops.on_probe(&[1; TOKEN_BYTES]), Some(target.clone()));
        assert_eq!(loops.on_probe(&[3; TOKEN_BYTES]), None, "somebody else's");
        assert!(
            loops.finish(&[1; TOKEN_BYTES])
                && !loops.finish(&[2; TOKEN_BYTES])
                && !loops.finish(&[1; TOKEN_BYTES])
        );
        let taken =
            (0..2 * MAX_TESTS as u8).filter(|n| loops.register([*n; TOKEN_BYTES], &target)).count();
        assert_eq!(taken, MAX_TESTS);
    }
}
