//! Operations: what a block records.

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{
        Domain, Hash, Name, Network, PublicKey, RecordSet, SecretKey, Signature,
        SignedMessagingRecord, Stamp, hash, tag,
    },
};

/// The kinds: the first byte of an operation.
const COMMIT: u8 = 1;
const REGISTER: u8 = 2;
const UPDATE: u8 = 3;
const RENEW: u8 = 4;
const TRANSFER: u8 = 5;
const ACCEPT: u8 = 6;
const CANCEL: u8 = 7;
const RECOVER: u8 = 8;
const REVOKE: u8 = 9;
const PUBLISH: u8 = 10;

/// An operation.
///
/// ```text
/// Commit:         | kind = 1 | commitment 32 |                                            | stamp 48 |
/// on a name:      | kind     | name | sequence u32 | signer 32 | action's fields | signature 64 | stamp 48 |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Binds a key to a name without telling which. Anyone can make it; it carries the price of the
    /// registration.
    Commit {
        /// [`commitment`] of the name, the owner and a salt.
        commitment: Hash,
        /// The work.
        stamp: Stamp,
    },
    /// Does something with a name.
    Named(SignedOperation),
}

/// A signed operation on a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOperation {
    /// The name.
    pub name: Name,
    /// One more than that of the last operation on the name; 0 for the first.
    pub sequence: u32,
    /// The key that signs: which one it must be depends on the action.
    pub signer: PublicKey,
    /// What is done.
    pub action: Action,
    /// The signer's signature over [`SignedOperation::signing_message`].
    pub signature: Signature,
    /// The work.
    pub stamp: Stamp,
}

/// What an operation does with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Opens a commitment: the signer becomes the owner. Fields: recovery (optional key), salt
    /// (32), records.
    Register {
        /// The cold key that outranks the owner, if any.
        recovery: Option<PublicKey>,
        /// The salt of the commitment.
        salt: [u8; 32],
        /// The name's first records.
        records: RecordSet,
    },
    /// Replaces the records. Fields: records. Signed by the owner.
    Update {
        /// The name's new records.
        records: RecordSet,
    },
    /// Adds a lease, in the last quarter of the lease or in the grace. Signed by the owner or the
    /// recovery key.
    Renew,
    /// Offers the name to another key. Fields: to (key). Signed by the owner.
    Transfer {
        /// The key that may accept.
        to: PublicKey,
    },
    /// Takes a name that was offered, without its records. Fields: recovery (optional key). Signed
    /// by the new owner.
    Accept {
        /// The new owner's recovery key, if any.
        recovery: Option<PublicKey>,
    },
    /// Withdraws an offer. Signed by the owner or the recovery key.
    Cancel,
    /// Replaces the owner, and the recovery key itself. Fields: owner (key), recovery (optional
    /// key). Signed by the recovery key.
    Recover {
        /// The new owner.
        owner: PublicKey,
        /// The recovery key from now on, if any.
        recovery: Option<PublicKey>,
    },
    /// Ends the name: it stops resolving at once, and is nobody's until its lease would have ended.
    /// Signed by the owner or the recovery key.
    Revoke,
    /// Replaces the messaging record, or withdraws it. Fields: record (optional signed messaging
    /// record). Signed by the owner.
    Publish {
        /// The record; none withdraws what stands.
        record: Option<Box<SignedMessagingRecord>>,
    },
}

/// The commitment to register `name` for `owner`: `H(commitment, name ‖ owner ‖ salt)`, the name
/// with its length.
pub fn commitment(network: Network, name: &Name, owner: &PublicKey, salt: &[u8; 32]) -> Hash {
    hash(network, Domain::Commitment, &[&name.to_bytes(), &owner.0, salt])
}

impl Action {
    fn kind(&self) -> u8 {
        match self {
            Action::Register { .. } => REGISTER,
            Action::Update { .. } => UPDATE,
            Action::Renew => RENEW,
            Action::Transfer { .. } => TRANSFER,
            Action::Accept { .. } => ACCEPT,
            Action::Cancel => CANCEL,
            Action::Recover { .. } => RECOVER,
            Action::Revoke => REVOKE,
            Action::Publish { .. } => PUBLISH,
        }
    }

    /// What the action is called in messages.
    pub fn label(&self) -> &'static str {
        match self {
            Action::Register { .. } => "register",
            Action::Update { .. } => "update",
            Action::Renew => "renew",
            Action::Transfer { .. } => "transfer",
            Action::Accept { .. } => "accept",
            Action::Cancel => "cancel",
            Action::Recover { .. } => "recover",
            Action::Revoke => "revoke",
            Action::Publish { .. } => "publish",
        }
    }
}

impl SignedOperation {
    /// Builds and signs an operation; its stamp is still to be worked.
    pub fn sign(
        network: Network,
        name: Name,
        sequence: u32,
        action: Action,
        key: &SecretKey,
        stamp: Stamp,
    ) -> Self {
        let signature = Signature([0; 64]);
        let mut named =
            SignedOperation { name, sequence, signer: key.public(), action, signature, stamp };
        named.signature = key.sign(&named.signing_message(network));
        named
    }

    /// What the signer signs: the tag, then every byte before the signature.
    pub fn signing_message(&self, network: Network) -> Vec<u8> {
        let mut message = tag(network, Domain::SignOperation).to_vec();
        self.encode_signed(&mut message);
        message
    }

    fn encode_signed(&self, out: &mut Vec<u8>) {
        out.push(self.action.kind());
        self.name.encode(out);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        self.signer.encode(out);
        match &self.action {
            Action::Register { recovery, salt, records } => {
                recovery.encode(out);
                out.extend_from_slice(salt);
                records.encode(out);
            }
            Action::Update { records } => records.encode(out),
            Action::Transfer { to } => to.encode(out),
            Action::Accept { recovery } => recovery.encode(out),
            Action::Recover { owner, recovery } => {
                owner.encode(out);
                recovery.encode(out);
            }
            Action::Publish { record } => record.encode(out),
            Action::Renew | Action::Cancel | Action::Revoke => {}
        }
    }
}

impl Operation {
    /// The length of the encoded operation, in bytes.
    pub fn byte_len(&self) -> usize {
        self.to_bytes().len()
    }

    /// The stamp.
    pub fn stamp(&self) -> &Stamp {
        match self {
            Operation::Commit { stamp, .. } => stamp,
            Operation::Named(named) => &named.stamp,
        }
    }

    /// The stamp, to be worked.
    pub fn stamp_mut(&mut self) -> &mut Stamp {
        match self {
            Operation::Commit { stamp, .. } => stamp,
            Operation::Named(named) => &mut named.stamp,
        }
    }

    /// The operation's id: the hash of all its bytes.
    pub fn id(&self, network: Network) -> Hash {
        hash(network, Domain::OperationId, &[&self.to_bytes()])
    }

    /// What the stamp's work is bound to: the hash of every byte before the stamp.
    pub fn stamp_subject(&self, network: Network) -> Hash {
        let mut bytes = Vec::new();
        self.encode_unstamped(&mut bytes);
        hash(network, Domain::StampSubject, &[&bytes])
    }

    /// What the operation is called in messages.
    pub fn label(&self) -> &'static str {
        match self {
            Operation::Commit { .. } => "commit",
            Operation::Named(named) => named.action.label(),
        }
    }

    fn encode_unstamped(&self, out: &mut Vec<u8>) {
        match self {
            Operation::Commit { commitment, .. } => {
                out.push(COMMIT);
                commitment.encode(out);
            }
            Operation::Named(named) => {
                named.encode_signed(out);
                named.signature.encode(out);
            }
        }
    }
}

impl Encode for Operation {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_unstamped(out);
        self.stamp().encode(out);
    }
}

impl Decode for Operation {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = reader.u8()?;
        if kind == COMMIT {
            return Ok(Operation::Commit {
                commitment: Hash::decode(reader)?,
                stamp: Stamp::decode(reader)?,
            });
        }
        if !(REGISTER..=PUBLISH).contains(&kind) {
            return Err(DecodeError::Invalid("an operation is of no known kind"));
        }
        let name = Name::decode(reader)?;
        let sequence = reader.u32()?;
        let signer = PublicKey::decode(reader)?;
        let action = match kind {
            REGISTER => Action::Register {
                recovery: Option::decode(reader)?,
                salt: reader.array()?,
                records: RecordSet::decode(reader)?,
            },
            UPDATE => Action::Update { records: RecordSet::decode(reader)? },
            RENEW => Action::Renew,
            TRANSFER => Action::Transfer { to: PublicKey::decode(reader)? },
            ACCEPT => Action::Accept { recovery: Option::decode(reader)? },
            CANCEL => Action::Cancel,
            RECOVER => Action::Recover {
                owner: PublicKey::decode(reader)?,
                recovery: Option::decode(reader)?,
            },
            REVOKE => Action::Revoke,
            _ => Action::Publish { record: Option::decode(reader)? },
        };
        let signature = Signature::decode(reader)?;
        let stamp = Stamp::decode(reader)?;
        Ok(Operation::Named(SignedOperation { name, sequence, signer, action, signature, stamp }))
    }
}
