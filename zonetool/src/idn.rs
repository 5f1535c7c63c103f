//! What a name in its `xn--` form stands for, for people to read: only where it can be mistaken for
//! nothing else.
//!
//! The chain and DNS know the ASCII form alone; nothing here changes what is signed, asked or
//! answered. A form that could be taken for another name is not shown: letters of several scripts,
//! letters that all look like Latin ones, marks that stand on something, characters that are not
//! seen.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Cyrillic and Greek letters that are drawn like Latin ones (after UTS #39): a word of these alone
/// is not shown.
const LIKE_LATIN: &str = "асԁеһіјкӏмоԛрѕтԝхуүґьъҽпгѵѡвнгαικνορτυχγεηωϳ";

/// The scripts that are read, by their letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Hebrew,
    Arabic,
    Devanagari,
    Thai,
    Georgian,
    Hangul,
    /// Han with Hiragana and Katakana, which are written together.
    Japanese,
}

/// The script of a letter; `None` for what is in no script that is read here.
fn script(c: char) -> Option<Script> {
    Some(match c {
        'a'..='z' | 'ß'..='ö' | 'ø'..='ɏ' | 'ḁ'..='ỿ' => Script::Latin,
        'ά'..='ώ' => Script::Greek,
        'а'..='ӿ' | 'ԁ'..='ԯ' => Script::Cyrillic,
        'ա'..='և' => Script::Armenian,
        'א'..='ת' => Script::Hebrew,
        'ء'..='غ' | 'ف'..='ي' | 'ٱ'..='ە' => Script::Arabic,
        'अ'..='ह' => Script::Devanagari,
        'ก'..='ะ' | 'า' | 'เ'..='ๅ' => Script::Thai,
        'ა'..='ჺ' => Script::Georgian,
        '가'..='힣' => Script::Hangul,
        'ぁ'..='ゖ' | 'ァ'..='ヺ' | 'ー' | '々' | '一'..='鿿' => Script::Japanese,
        _ => return None,
    })
}

/// What an ASCII label stands for, if it is in the `xn--` form, was made by the rules of IDNA 2008
/// (UTS #46 without transition) and can be shown.
pub fn decode_label(label: &str) -> Option<String> {
    label.starts_with("xn--").then_some(())?;
    let processor = Uts46::new();
    let (deny, hyphens) = (AsciiDenyList::STD3, Hyphens::Check);
    let (shown, valid) = processor.to_unicode(label.as_bytes(), deny, hyphens);
    valid.ok()?;
    // Back again it is the same label, or it is not this one that is shown.
    let back = processor.to_ascii(shown.as_bytes(), deny, hyphens, DnsLength::Verify).ok()?;
    (back == label && is_plain(&shown)).then(|| shown.into_owned())
}

/// A label of other letters in its `xn--` form, if it has one.
pub fn encode_label(text: &str) -> Option<String> {
    let (deny, hyphens) = (AsciiDenyList::STD3, Hyphens::Check);
    let label = Uts46::new().to_ascii(text.as_bytes(), deny, hyphens, DnsLength::Verify).ok()?;
    Some(label.into_owned())
}

fn is_plain(text: &str) -> bool {
    let mut letters = text.chars().filter(|c| !(c.is_ascii_digit() || *c == '-'));
    let Some(first) = letters.next().map(script) else { return false };
    let one_script = first.is_some() && letters.all(|c| script(c) == first);
    let read_as_latin =
        || text.chars().all(|c| c.is_ascii_digit() || c == '-' || LIKE_LATIN.contains(c));
    one_script && !read_as_latin()
}

/// A name as people read it: in its ASCII form, with what it stands for beside it where that can be
/// shown.
pub fn with_unicode(label: &str) -> String {
    match decode_label(label) {
        Some(idn) => format!("{label} ({idn})"),
        None => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_shown_and_what_is_not() {
        for (label, shown) in [
            ("xn--bcher-kva", Some("bücher")),
            ("xn--mnchen-3ya", Some("münchen")),
            ("xn--e1afmkfd", Some("пример")),
            ("xn--hxajbheg2az3al", Some("παράδειγμα")),
            ("xn--zckzah", Some("テスト")),
            ("xn--fsqu00a", Some("例子")),
            ("xn--fa-hia", Some("faß")),
            ("alice", None),
            // apple, all in Cyrillic; paypal with a Cyrillic a.
            ("xn--80ak6aa92e", None),
            ("xn--pypal-4ve", None),
            // Not an A-label: no rule makes it.
            ("xn--alice", None),
            ("xn--a", None),
            ("xn--0", None),
            // What would be another label: an upper case letter, a full-width one.
            ("xn--Bcher-kva", None),
            // An emoji, which IDNA 2008 has not and is in no script.
            ("xn--ls8h", None),
        ] {
            assert_eq!(decode_label(label).as_deref(), shown, "{label}");
        }
        assert_eq!(with_unicode("xn--bcher-kva"), "xn--bcher-kva (bücher)");
        assert_eq!(with_unicode("xn--80ak6aa92e"), "xn--80ak6aa92e");
    }

    proptest! {
        #[test]
        fn whatever_stands_behind_xn_is_harmless(label in "xn--[a-z0-9-]{1,59}") {
            if let Some(shown) = decode_label(&label) {
                prop_assert_eq!(crate::ui::escape_line(&shown), shown.clone());
                let first = shown.chars().find_map(script);
                prop_assert!(shown.chars().all(|c| c.is_ascii_digit() || c == '-' || script(c) == first));
            }
        }
    }
}
