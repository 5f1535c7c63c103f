//! Finding peers, and finding them again.
