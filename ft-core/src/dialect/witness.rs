//! Ambiguity witnesses: for each protocol fault, two different intents that put the same bytes on the wire.
//!
//! A reader that sees those bytes, and then what follows them, must treat both alike; so it is wrong for one of them, however
//! careful it is. That is what makes a fault the protocol's.

use super::addfile::{Command, OK};
use super::pitfall::{Lab, Pitfall};

/// What a reader sees behind the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// Nothing, for as long as the reader cares to wait.
    Silence,
    /// The end of the direction.
    Fin,
}

/// One intent: what its side meant, and what it has written when the reader must decide.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Intent {
    /// What was meant.
    pub means: &'static str,
    /// The texts and data that it has handed to the stream, as the sender cuts them.
    pub sends: Vec<Vec<u8>>,
    /// What comes next.
    pub then: Then,
}

impl Intent {
    /// What the reader has: a stream keeps no boundaries.
    #[must_use]
    pub fn wire(&self) -> Vec<u8> {
        self.sends.concat()
    }
}

/// Two intents with the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Witness {
    /// The pitfall that is the protocol's fault.
    pub pitfall: Pitfall,
    /// In which lab.
    pub lab: Lab,
    /// One intent.
    pub one: Intent,
    /// Another.
    pub other: Intent,
}

fn intent(means: &'static str, sends: &[&[u8]], then: Then) -> Intent {
    Intent { means, sends: sends.iter().map(|bytes| bytes.to_vec()).collect(), then }
}

/// A witness for every pitfall that is, wholly or in part, the fault of a lab's protocol.
#[must_use]
pub fn witnesses() -> Vec<Witness> {
    use Then::{Fin, Silence};
    let addfile = Command::Addfile.word().as_bytes();
    let row = |pitfall, lab, one, other| Witness { pitfall, lab, one, other };
    vec![
        row(
            Pitfall::SplitHeader,
            Lab::A,
            intent("a file \"a\" of 5 bytes", &[b"a|5"], Silence),
            intent("a file \"a|5\", whose size is still to come", &[b"a|5"], Silence),
        ),
        row(
            Pitfall::SplitDigits,
            Lab::A,
            intent("10 bytes", &[b"data.txt|10"], Silence),
            intent("1000 bytes, of whose digits two are late", &[b"data.txt|", b"10"], Silence),
        ),
        row(
            Pitfall::HeaderBodyMerge,
            Lab::A,
            intent("12 bytes, whose body awaits its ACK", &[b"a|12"], Silence),
            intent("1 byte, \"2\", sent without awaiting the ACK", &[b"a|1", b"2"], Silence),
        ),
        row(
            Pitfall::DelimiterInName,
            Lab::A,
            intent("a file \"a|2\" of 5 bytes", &[b"a|2|5"], Silence),
            intent("a file \"a\" of 2 bytes, \"|5\", sent without awaiting the ACK", &[b"a|2", b"|5"], Silence),
        ),
        row(
            Pitfall::NoFinalAck,
            Lab::A,
            intent("the receiver has stored the file", &[b"ACK"], Fin),
            intent("the receiver died after its ACK", &[b"ACK"], Fin),
        ),
        row(
            Pitfall::CoalescedMessages,
            Lab::B,
            intent("a file \"ab\"", &[addfile, b"ab"], Silence),
            intent("a file \"a\" with the data \"b\"", &[addfile, b"a", b"b"], Silence),
        ),
        row(
            Pitfall::SplitHeader,
            Lab::B,
            intent("a file \"a\"", &[addfile, b"a"], Silence),
            intent("a file \"ab\", half of whose name is late", &[addfile, b"a"], Silence),
        ),
        row(
            Pitfall::HeaderBodyMerge,
            Lab::B,
            intent("an empty file \"name.txt\"", &[addfile, b"name.txt"], Silence),
            intent("a file \"name\" with the data \".txt\"", &[addfile, b"name", b".txt"], Silence),
        ),
        row(
            Pitfall::RecvIsNotMessage,
            Lab::B,
            intent("a file of 4 bytes, whose ACK2 is awaited", &[addfile, b"\na\n", b"data"], Silence),
            intent("the first 4 bytes of a longer file", &[addfile, b"\na\n", b"data"], Silence),
        ),
        row(
            Pitfall::StatusDataMerge,
            Lab::B,
            intent("the file \"\\nabc\", behind a bare status", &[OK.as_bytes(), b"\nabc"], Fin),
            intent("the file \"abc\", behind a status with its line feed", &[OK.as_bytes(), b"\n", b"abc"], Fin),
        ),
        row(
            Pitfall::DelimiterInName,
            Lab::B,
            intent("a file \"a\\nb\"", &[addfile, b"\n", b"a\nb", b"\n"], Silence),
            intent("a file \"a\" with the data \"b\\n\"", &[addfile, b"\n", b"a", b"\n", b"b\n"], Silence),
        ),
        row(
            Pitfall::EofIsSuccess,
            Lab::B,
            intent("a file of 4 bytes", &[addfile, b"\na\n", b"data"], Fin),
            intent("a longer file, whose sender was ended", &[addfile, b"\na\n", b"data"], Fin),
        ),
        row(
            Pitfall::NoFinalAck,
            Lab::B,
            intent("UPLOAD: the server has stored the file", &[OK.as_bytes()], Fin),
            intent("UPLOAD: the server died after its status", &[OK.as_bytes()], Fin),
        ),
        row(
            Pitfall::ZeroBytePayload,
            Lab::B,
            intent("an empty file, whose ACK2 is awaited", &[addfile, b"\na\n", b""], Silence),
            intent("a file whose first byte is late", &[addfile, b"\na\n"], Silence),
        ),
        row(
            Pitfall::HalfCloseMisuse,
            Lab::B,
            intent("a half-close: the data is over, ACK2 is awaited", &[addfile, b"\na\n", b"data"], Fin),
            intent("a full close: nobody will read ACK2", &[addfile, b"\na\n", b"data"], Fin),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::pitfall::Whose;
    use super::*;

    #[test]
    fn witness_has_two_intents_and_one_wire() {
        for witness in witnesses() {
            let id = witness.pitfall.id();
            assert_ne!(witness.one.means, witness.other.means, "{id}");
            assert_eq!(witness.one.wire(), witness.other.wire(), "{id}");
            assert_eq!(witness.one.then, witness.other.then, "{id}");
        }
    }

    #[test]
    fn protocol_fault_has_a_witness_and_an_implementation_fault_has_none() {
        for &pitfall in Pitfall::ALL {
            for lab in [Lab::A, Lab::B] {
                let witnessed = witnesses().iter().any(|row| row.pitfall == pitfall && row.lab == lab);
                let protocol = matches!(pitfall.whose(lab), Some(Whose::Protocol | Whose::Both));
                assert_eq!(witnessed, protocol, "{pitfall} in lab {lab:?}");
            }
        }
    }
}
