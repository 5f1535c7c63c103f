//! A letter that its reader opens with other software, seals anew, and passes on as if it were for
//! somebody else.

use std::{convert::Infallible, fs};

use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable,
    aead::ChaCha20Poly1305,
    kdf::HkdfSha256,
    kem::X25519HkdfSha256,
    rand_core::{TryCryptoRng, TryRng},
    setup_receiver, setup_sender_with_rng,
};
use messaging::envelope::recipient_tag;
use namechain_core::types::Network;
use serde_json::Value;
use tests::{
    program::User,
    users::{World, refused_bytes},
};

/// The header of an envelope: version, kind of key, class, recipient tag.
const HEAD: usize = 5;
const ENC: usize = 32;

fn info() -> [u8; 16] {
    let mut info = *b"m:envelope\0\0\0\0\0\0";
    info[12..].copy_from_slice(&Network::Dev.magic());
    info
}

/// Numbers that nobody must use but here.
struct Counting(u8);

impl TryRng for Counting {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0 = self.0.wrapping_add(1);
        Ok(u32::from_be_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.try_next_u32()?))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0 = self.0.wrapping_add(1);
        out.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for Counting {}

/// What is inside, with its padding.
fn open(secret: &[u8], envelope: &[u8]) -> Vec<u8> {
    let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(secret).expect("a key");
    let (head, rest) = envelope.split_at(HEAD);
    let (enc, sealed) = rest.split_at(ENC);
    let enc = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(enc).expect("a key");
    let mut context = setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &enc,
        &info(),
    )
    .expect("a context");
    context.open(sealed, head).expect("it opens")
}

/// The same inside in an envelope for somebody else.
fn seal(to: &[u8], name: &str, class: u8, inside: &[u8]) -> Vec<u8> {
    let recipient_tag = recipient_tag(Network::Dev, &name.parse().expect("a name"));
    let head = [1, 1, class, recipient_tag[0], recipient_tag[1]];
    let to = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to).expect("a key");
    let (enc, mut context) =
        setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &to,
            &info(),
            &mut Counting(7),
        )
        .expect("a context");
    let sealed = context.seal(inside, &head).expect("it seals");
    [&head[..], enc.to_bytes().as_slice(), &sealed].concat()
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("hexadecimal");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("digits"))
        .collect()
}

fn x25519(user: &User, name: &str) -> Vec<u8> {
    unhex(&user.zonetool(&["peer", "show", name]).ok().json()["messaging"]["x25519"])
}

#[test]
fn a_letter_that_is_passed_on_is_not_taken_for_ones_own() {
    let world = World::new();
    let alone = ["--bundle", "none", "--x25519-alone", "yes"];
    let (alice, _) = world.person("alice", &[]);
    let ((bob, words), (carol, _)) = (world.person("bob", &alone), world.person("carol", &alone));
    let sealed = alice.fed(&[], &["peer", "seal", "bob", "--from", "alice"], b"You are fired.");
    let file = fs::read_to_string(bob.keys().join("identity-0.key")).expect("bob's key");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    let inside = open(&unhex(&file["secret"])[32..], &sealed.stdout);
    assert!(inside.windows(14).any(|text| text == b"You are fired."));

    let class = sealed.stdout[2];
    let passed_on = seal(&x25519(&carol, "carol"), "carol", class, &inside);
    let opened = carol.fed(&[], &["peer", "open", "--to", "carol"], &passed_on);
    refused_bytes(&opened, 9, "was written to bob and passed on");
    // To himself in another envelope: it is signed for the first one.
    let again = seal(&x25519(&bob, "bob"), "bob", class, &inside);
    refused_bytes(&bob.fed(&[], &["peer", "open", "--to", "bob"], &again), 9, "signature is wrong");
    // To a key of his that came later.
    bob.zonetool(&["peer", "rotate", "bob", "--words-file", &words, "--wait"]).ok();
    let later = seal(&x25519(&bob, "bob"), "bob", class, &inside);
    refused_bytes(
        &bob.fed(&[], &["peer", "open", "--to", "bob"], &later),
        9,
        "another identity key",
    );
    // As it was sent it opens.
    let opened = bob.fed(&[], &["peer", "open", "--to", "bob"], &sealed.stdout);
    assert_eq!(opened.stdout, b"You are fired.", "{opened:?}");
}
