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
/// Commit:    | kind = 1 | commitment 32 | stamp 48 |
/// on a name: | kind | name | reference 32 | valid until u64 | signer 32 | action's fields |
///            | signature 64 | stamp 48 |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "few live at a time, and most are on names")]
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
    /// Of a Register the id of its Commit; of all others the title of the name's entry: the subject
    /// of the Register, Accept or Recover that made the present owner.
    pub reference: Hash,
    /// The last time at which a block may record it, in seconds of Unix time; at most a day after
    /// the block's.
    pub valid_until: u64,
    /// The key that signs: which one it must be depends on the action.
    pub signer: PublicKey,
    /// What is done.
    pub action: Action,
    /// The signer's signature over [`SignedOperation::signing_message`].
    pub signature: Signature,
    /// The work.
    pub stamp: Stamp,
}

/// What a signature is bound to beside the operation itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningContext {
    /// The network.
    pub network: Network,
    /// The id of its genesis block.
    pub genesis: Hash,
    /// The branch of the block that is to record the operation: the version of its header.
    pub branch: u32,
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
    /// Replaces the records. Fields: sequence (u32), records. Signed by the owner.
    Update {
        /// One more than the entry's.
        sequence: u32,
        /// The name's new records.
        records: RecordSet,
    },
    /// Adds a lease, in the last quarter of the lease or in the grace. Fields: expires (u64).
    /// Signed by the owner or the recovery key.
    Renew {
        /// The end of the lease that it extends, in seconds of Unix time.
        expires: u64,
    },
    /// Offers the name to another key. Fields: sequence (u32), to (key). Signed by the owner.
    Transfer {
        /// One more than the entry's.
        sequence: u32,
        /// The key that may accept.
        to: PublicKey,
    },
    /// Takes a name that was offered, without its records. Fields: transfer (32), recovery
    /// (optional key). Signed by the new owner.
    Accept {
        /// The subject of the Transfer.
        transfer: Hash,
        /// The new owner's recovery key, if any.
        recovery: Option<PublicKey>,
    },
    /// Withdraws an offer. Fields: transfer (32). Signed by the owner or the recovery key.
    Cancel {
        /// The subject of the Transfer.
        transfer: Hash,
    },
    /// Replaces the owner, and the recovery key itself; undoes a revocation. Fields: owner (key),
    /// recovery (optional key). Signed by the recovery key.
    Recover {
        /// The new owner.
        owner: PublicKey,
        /// The recovery key from now on, if any.
        recovery: Option<PublicKey>,
    },
    /// Revokes the name: it stops resolving at once, and is nobody's until lease and grace are
    /// over, unless the recovery key takes it back. Signed by the owner or the recovery key.
    Revoke,
    /// Replaces the messaging record, or withdraws it. Fields: sequence (u32), record (optional
    /// signed messaging record). Signed by the owner.
    Publish {
        /// One more than the entry's.
        sequence: u32,
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
            Action::Renew { .. } => RENEW,
            Action::Transfer { .. } => TRANSFER,
            Action::Accept { .. } => ACCEPT,
            Action::Cancel { .. } => CANCEL,
            Action::Recover { .. } => RECOVER,
            Action::Revoke => REVOKE,
            Action::Publish { .. } => PUBLISH,
        }
    }

    /// The sequence number that it carries, if it is an Update, a Transfer or a Publish.
    pub fn sequence(&self) -> Option<u32> {
        match self {
            Action::Update { sequence, .. }
            | Action::Transfer { sequence, .. }
            | Action::Publish { sequence, .. } => Some(*sequence),
            _ => None,
        }
    }

    /// What the action is called in messages.
    pub fn label(&self) -> &'static str {
        match self {
            Action::Register { .. } => "register",
            Action::Update { .. } => "update",
            Action::Renew { .. } => "renew",
            Action::Transfer { .. } => "transfer",
            Action::Accept { .. } => "accept",
            Action::Cancel { .. } => "cancel",
            Action::Recover { .. } => "recover",
            Action::Revoke => "revoke",
            Action::Publish { .. } => "publish",
        }
    }
}

impl SignedOperation {
    /// Builds and signs an operation; its stamp is still to be worked.
    pub fn sign(
        context: &SigningContext,
        name: Name,
        reference: Hash,
        valid_until: u64,
        action: Action,
        key: &SecretKey,
        stamp: Stamp,
    ) -> Self {
        let (signer, signature) = (key.public(), Signature([0; 64]));
        let mut named =
            SignedOperation { name, reference, valid_until, signer, action, signature, stamp };
        named.signature = key.sign(&named.signing_message(context));
        named
    }

    /// What the signer signs: the tag, the genesis id, the branch, then every byte before the
    /// signature.
    pub fn signing_message(&self, context: &SigningContext) -> Vec<u8> {
        let mut message = tag(context.network, Domain::SignOperation).to_vec();
        context.genesis.encode(&mut message);
        message.extend_from_slice(&context.branch.to_be_bytes());
        self.encode_signed(&mut message);
        message
    }

    /// The subject of the operation, which its stamp is bound to: of a Register, Accept or Recover
    /// the title that it makes; of a Transfer what Accept and Cancel name.
    pub fn subject(&self, network: Network) -> Hash {
        let mut bytes = Vec::new();
        self.encode_unstamped(&mut bytes);
        hash(network, Domain::StampSubject, &[&bytes])
    }

    fn encode_unstamped(&self, out: &mut Vec<u8>) {
        self.encode_signed(out);
        self.signature.encode(out);
    }

    fn encode_signed(&self, out: &mut Vec<u8>) {
        out.push(self.action.kind());
        self.name.encode(out);
        self.reference.encode(out);
        out.extend_from_slice(&self.valid_until.to_be_bytes());
        self.signer.encode(out);
        if let Some(sequence) = self.action.sequence() {
            out.extend_from_slice(&sequence.to_be_bytes());
        }
        match &self.action {
            Action::Register { recovery, salt, records } => {
                recovery.encode(out);
                out.extend_from_slice(salt);
                records.encode(out);
            }
            Action::Update { records, .. } => records.encode(out),
            Action::Renew { expires } => out.extend_from_slice(&expires.to_be_bytes()),
            Action::Transfer { to, .. } => to.encode(out),
            Action::Accept { transfer, recovery } => {
                transfer.encode(out);
                recovery.encode(out);
            }
            Action::Cancel { transfer } => transfer.encode(out),
            Action::Recover { owner, recovery } => {
                owner.encode(out);
                recovery.encode(out);
            }
            Action::Publish { record, .. } => record.encode(out),
            Action::Revoke => {}
        }
    }
}

impl Operation {
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

    /// The length of the encoding in bytes.
    pub fn byte_len(&self) -> usize {
        self.to_bytes().len()
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
            Operation::Named(named) => named.encode_unstamped(out),
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
        let reference = Hash::decode(reader)?;
        let valid_until = reader.u64()?;
        let signer = PublicKey::decode(reader)?;
        let action = match kind {
            REGISTER => Action::Register {
                recovery: Option::decode(reader)?,
                salt: reader.array()?,
                records: RecordSet::decode(reader)?,
            },
            UPDATE => {
                Action::Update { sequence: reader.u32()?, records: RecordSet::decode(reader)? }
            }
            RENEW => Action::Renew { expires: reader.u64()? },
            TRANSFER => {
                Action::Transfer { sequence: reader.u32()?, to: PublicKey::decode(reader)? }
            }
            ACCEPT => Action::Accept {
                transfer: Hash::decode(reader)?,
                recovery: Option::decode(reader)?,
            },
            CANCEL => Action::Cancel { transfer: Hash::decode(reader)? },
            RECOVER => Action::Recover {
                owner: PublicKey::decode(reader)?,
                recovery: Option::decode(reader)?,
            },
            REVOKE => Action::Revoke,
            _ => Action::Publish { sequence: reader.u32()?, record: Option::decode(reader)? },
        };
        let signature = Signature::decode(reader)?;
        let stamp = Stamp::decode(reader)?;
        Ok(Operation::Named(SignedOperation {
            name,
            reference,
            valid_until,
            signer,
            action,
            signature,
            stamp,
        }))
    }
}
