//! Holding: how long a node that followed its chain live stays on it against a heavier one.

/// Seconds of a day.
pub const DAY: f64 = 86_400.0;

/// A hold that goes on.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    /// Seconds that the other branch has to lead.
    pub need: f64,
    /// Seconds that it has led, less those that it has not.
    pub timer: f64,
}

impl Hold {
    /// Whether a node holds against a branch that would undo so many blocks and seconds.
    pub fn applies(blocks: f64, seconds: f64) -> bool {
        blocks > 720.0 && seconds > DAY
    }

    /// Begins: the span that would be undone now decides, it does not grow with the own chain.
    pub fn begin(span: f64) -> Self {
        Hold { need: span.clamp(DAY, 14.0 * DAY), timer: 0.0 }
    }

    /// Time passes while the branch leads by six blocks' work or not; says whether the node goes.
    pub fn pass(&mut self, seconds: f64, leads: bool) -> bool {
        self.timer = if leads { self.timer + seconds } else { (self.timer - seconds).max(0.0) };
        self.timer >= self.need
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_after_its_span() {
        let mut hold = Hold::begin(2.0 * DAY);
        assert!(!hold.pass(1.5 * DAY, true));
        assert!(!hold.pass(1.0 * DAY, false));
        assert!(!hold.pass(1.4 * DAY, true));
        assert!(hold.pass(0.1 * DAY, true));
        assert_eq!(Hold::begin(60.0 * DAY).need, 14.0 * DAY);
        assert_eq!(Hold::begin(10.0).need, DAY);
        assert!(!Hold::applies(721.0, 3_600.0) && !Hold::applies(700.0, 2.0 * DAY));
    }
}
