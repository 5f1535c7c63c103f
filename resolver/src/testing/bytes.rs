//! Draws small values from a fuzzer's bytes. After the end there are zeros.

/// The bytes that are left.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Starts at the first byte.
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// Whether there is nothing left but zeros.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// The next two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// As many bytes as the next byte says, or what is left.
    pub fn some(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }

    /// Labels of at most 63 bytes that form a name of at most 255.
    pub fn labels(&mut self) -> Vec<Vec<u8>> {
        let count = usize::from(self.byte() % 8);
        let mut labels: Vec<Vec<u8>> = Vec::new();
        let mut length = 1;
        for _ in 0..count {
            let label = self.some();
            let label = &label[..label.len().min(63)];
            length += label.len() + 1;
            if label.is_empty() || length > 255 {
                break;
            }
            labels.push(label.to_vec());
        }
        labels
    }
}

/// Labels as a name in wire form, in their own case.
pub fn wire(labels: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in labels {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire
}
