//! The registered record types: their mnemonics.

/// `TYPEnnn`, or the type's mnemonic.
pub fn mnemonic(rtype: u16) -> String {
    domain::base::iana::Rtype::from_int(rtype).to_string()
}
