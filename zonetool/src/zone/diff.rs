//! What an update changes: removed and added records.

use namechain_core::types::{Name, RecordSet};

use super::write::{RecordText, record_texts};

/// A line for each removed (`-`) or added (`+`) record, in the order of the records.
pub fn diff(name: &Name, before: &RecordSet, after: &RecordSet) -> Vec<String> {
    let (old, new) = (record_texts(name, before), record_texts(name, after));
    let line = |mark: char, text: &RecordText| {
        format!("{mark} {} {} {} {}", text.owner, text.ttl, text.rtype, text.data)
    };
    let gone = old.iter().filter(|text| !new.contains(text)).map(|text| line('-', text));
    let come = new.iter().filter(|text| !old.contains(text)).map(|text| line('+', text));
    gone.chain(come).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::read::read, *};

    #[test]
    fn what_stays_is_not_in_it() {
        let name = Name::parse("alice").unwrap();
        let zone = |text: &str| read(&name, text.as_bytes()).unwrap().records;
        let (old, new) = (
            zone("@ 60 A 192.0.2.1\nwww 60 A 192.0.2.2\n"),
            zone("@ 60 A 192.0.2.1\nwww 30 A 192.0.2.2\n"),
        );
        assert_eq!(diff(&name, &old, &new), ["- www 60 A 192.0.2.2", "+ www 30 A 192.0.2.2"]);
        assert!(diff(&name, &old, &old).is_empty());
    }
}
