//! gRPC's framing: one byte that says whether a message is compressed, four of its length, its bytes.

use bytes::{Buf, Bytes, BytesMut};

pub const HEAD: usize = 5;

/// A message: a body, which many streams may share, and what follows it for one stream alone.
pub struct Message {
    body: Bytes,
    tail: Bytes,
}

impl Message {
    /// None if it is longer than gRPC can say.
    pub fn new(body: Bytes, tail: Bytes) -> Option<Self> {
        u32::try_from(body.len().checked_add(tail.len())?).ok()?;
        Some(Self { body, tail })
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// A part of a message as h2 sends it: what is left of the head, and bytes that are not copied.
pub struct Chunk {
    head: [u8; HEAD],
    at: usize,
    body: Bytes,
    tail: Bytes,
}

impl Chunk {
    /// A whole message.
    pub fn message(message: Message) -> Self {
        let Message { body, tail } = message;
        let length = ((body.len() + tail.len()) as u32).to_be_bytes();
        let head = [0, length[0], length[1], length[2], length[3]];
        Self { head, at: 0, body, tail }
    }

    /// The first `count` bytes, which leave it; at most as many as there are.
    pub fn split_to(&mut self, count: usize) -> Self {
        let of_head = count.min(HEAD - self.at);
        if self.at + of_head < HEAD {
            // Less than a head: so little room is seldom, and the bytes are copied.
            let bytes = Bytes::copy_from_slice(&self.head[self.at..self.at + of_head]);
            self.at += of_head;
            return Self { head: self.head, at: HEAD, body: bytes, tail: Bytes::new() };
        }
        let of_body = (count - of_head).min(self.body.len());
        let of_tail = (count - of_head - of_body).min(self.tail.len());
        let part = Self {
            head: self.head,
            at: self.at,
            body: self.body.split_to(of_body),
            tail: self.tail.split_to(of_tail),
        };
        self.at = HEAD;
        part
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        HEAD - self.at + self.body.len() + self.tail.len()
    }

    fn chunk(&self) -> &[u8] {
        if self.at < HEAD {
            &self.head[self.at..]
        } else if !self.body.is_empty() {
            &self.body
        } else {
            &self.tail
        }
    }

    fn advance(&mut self, count: usize) {
        let of_head = count.min(HEAD - self.at);
        self.at += of_head;
        let of_body = (count - of_head).min(self.body.len());
        self.body.advance(of_body);
        self.tail.advance(count - of_head - of_body);
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        let mut count = 0;
        for part in [&self.head[self.at..], &self.body[..], &self.tail[..]] {
            if !part.is_empty() && count < slices.len() {
                slices[count] = std::io::IoSlice::new(part);
                count += 1;
            }
        }
        count
    }
}

/// What a client's bytes have come to.
#[derive(Debug, PartialEq)]
pub enum Progress {
    /// More bytes are needed.
    More,
    /// A message of so many bytes has begun.
    Begun(usize),
    /// The head says that the message is compressed, or says nonsense.
    Compressed,
    Nonsense(u8),
}

/// Bytes of one stream, until they make a message.
#[derive(Default)]
pub struct Messages {
    buffer: BytesMut,
    length: Option<usize>,
}

impl Messages {
    pub fn add(&mut self, data: Bytes) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::from(data);
        } else {
            self.buffer.extend_from_slice(&data);
        }
    }

    /// Look at the head, if it is there and was not looked at.
    pub fn progress(&mut self) -> Progress {
        if let Some(length) = self.length {
            return Progress::Begun(length);
        }
        if self.buffer.len() < HEAD {
            return Progress::More;
        }
        match self.buffer[0] {
            0 => {}
            1 => return Progress::Compressed,
            other => return Progress::Nonsense(other),
        }
        self.buffer.advance(1);
        let length = self.buffer.get_u32() as usize;
        self.length = Some(length);
        Progress::Begun(length)
    }

    /// The message that has begun, if it is whole.
    pub fn message(&mut self) -> Option<Bytes> {
        let length = self.length?;
        if self.buffer.len() < length {
            return None;
        }
        self.length = None;
        let message = self.buffer.split_to(length).freeze();
        Some(message)
    }

    /// True between two messages.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.length.is_none()
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(mut chunk: Chunk) -> Vec<u8> {
        let mut all = Vec::new();
        while chunk.has_remaining() {
            let part = chunk.chunk().to_vec();
            chunk.advance(part.len());
            all.extend(part);
        }
        all
    }

    fn chunk(body: &'static [u8], tail: &'static [u8]) -> Chunk {
        let message = Message::new(Bytes::from_static(body), Bytes::from_static(tail));
        Chunk::message(message.expect("it is short"))
    }

    #[test]
    fn a_message_is_the_same_however_it_is_split() {
        let parts: [(&[u8], &[u8]); 4] =
            [(b"hello", b""), (b"he", b"llo"), (b"", b"hello"), (b"", b"")];
        for (body, tail) in parts {
            let whole = bytes_of(chunk(body, tail));
            assert_eq!(whole[..HEAD], [0, 0, 0, 0, (body.len() + tail.len()) as u8]);
            assert_eq!(whole[HEAD..], [body, tail].concat());
            for first in 1..whole.len() {
                for second in 1..=(whole.len() - first) {
                    let mut rest = chunk(body, tail);
                    let mut all = bytes_of(rest.split_to(first));
                    assert_eq!(all.len(), first);
                    all.extend(bytes_of(rest.split_to(second)));
                    all.extend(bytes_of(rest));
                    assert_eq!(all, whole, "split at {first} and {second} more");
                }
            }
        }
    }

    #[test]
    fn slices_and_single_chunks_give_the_same_bytes() {
        for at in 0..HEAD + 5 {
            let mut rest = chunk(b"he", b"llo");
            rest.advance(at);
            let mut slices = [std::io::IoSlice::new(&[]); 4];
            let count = rest.chunks_vectored(&mut slices);
            let together: Vec<u8> = slices[..count].iter().flat_map(|one| one.to_vec()).collect();
            assert_eq!(together, bytes_of(rest), "after {at} bytes");
        }
    }

    #[test]
    fn messages_come_out_as_they_went_in_however_the_bytes_come() {
        let texts: [&'static [u8]; 4] = [b"", b"a", b"hello", b""];
        let mut wire = Vec::new();
        for text in texts {
            wire.extend(bytes_of(chunk(text, b"")));
        }
        for size in 1..=wire.len() {
            let (mut messages, mut out) = (Messages::default(), Vec::new());
            for part in wire.chunks(size) {
                messages.add(Bytes::copy_from_slice(part));
                while matches!(messages.progress(), Progress::Begun(_)) {
                    match messages.message() {
                        Some(message) => out.push(message.to_vec()),
                        None => break,
                    }
                }
            }
            assert_eq!(out, texts, "in pieces of {size}");
            assert!(messages.is_empty());
        }
    }

    #[test]
    fn a_first_byte_that_says_compressed_or_nonsense_is_told() {
        for (byte, expected) in [(1, Progress::Compressed), (7, Progress::Nonsense(7))] {
            let mut messages = Messages::default();
            messages.add(Bytes::copy_from_slice(&[byte, 0, 0, 0, 0]));
            assert_eq!(messages.progress(), expected);
        }
    }
}
