//! The pitfall catalogue as a type: scenarios, lessons, grade reports, errors and tests share these ids.

use std::fmt;

/// Which lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lab {
    /// Lab A: metadata `name|size`, ACK, body. Dialect `pipe`.
    A,
    /// Lab B: `addfile`, `UPLOAD`, `DOWNLOAD`. Dialect `addfile`.
    B,
}

/// Whose fault a pitfall is, in one lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Whose {
    /// A careful implementation stands on the same wire.
    Implementation,
    /// No implementation can stand without changing the wire; see [`crate::dialect::witness`].
    Protocol,
    /// The crash or the loss is the implementation's, an ambiguity that remains is the protocol's.
    Both,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Implementation => "I",
            Self::Protocol => "P",
            Self::Both => "I+P",
        })
    }
}

macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $variant:ident = $id:literal, $a:expr, $b:expr;)+) => {
        /// One pitfall of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Pitfall {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Pitfall {
            /// Every pitfall, in the catalogue's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The id used everywhere, such as `split-header`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$variant => $id,)+
                }
            }

            /// Whose fault it is in `lab`; `None` when the lab does not have it.
            #[must_use]
            pub fn whose(self, lab: Lab) -> Option<Whose> {
                let (a, b): (Option<Whose>, Option<Whose>) = match self {
                    $(Self::$variant => ($a, $b),)+
                };
                match lab {
                    Lab::A => a,
                    Lab::B => b,
                }
            }
        }
    };
}

const I: Option<Whose> = Some(Whose::Implementation);
const P: Option<Whose> = Some(Whose::Protocol);
const IP: Option<Whose> = Some(Whose::Both);

catalogue! {
    /// Two sends arrive in one read; the second message is lost.
    CoalescedMessages = "coalesced-messages", None, IP;
    /// A header arrives in two reads; crash or wrong parse.
    SplitHeader = "split-header", IP, IP;
    /// `…|10` and `00` arrive apart; the size is wrong.
    SplitDigits = "split-digits", P, None;
    /// One read is taken as the whole; the rest is lost.
    RecvIsNotMessage = "recv-is-not-message", None, IP;
    /// The header and the first data arrive in one read.
    HeaderBodyMerge = "header-body-merge", IP, IP;
    /// The status and the first data arrive in one read.
    StatusDataMerge = "status-data-merge", None, IP;
    /// The name contains what separates it from the next field.
    DelimiterInName = "delimiter-in-name", IP, P;
    /// A name such as `../x` leaves the folder.
    PathTraversal = "path-traversal", I, I;
    /// A read ends inside a character; decoding it crashes.
    Utf8Split = "utf8-split", I, I;
    /// A FIN or RST inside the body is taken as its end.
    EofIsSuccess = "eof-is-success", I, IP;
    /// The sender cannot know that the file arrived.
    NoFinalAck = "no-final-ack", P, P;
    /// The confirmation arrives in two reads; nothing is sent, and the program reports success.
    SplitAck = "split-ack", I, I;
    /// Two confirmations arrive in one read.
    MergedAcks = "merged-acks", None, I;
    /// The last confirmation comes before the data is durable.
    AckBeforeDurable = "ack-before-durable", None, I;
    /// The old file is destroyed before the new data has come.
    TruncateFirst = "truncate-first", I, I;
    /// The count that a write returns is ignored.
    ShortSend = "short-send", I, I;
    /// Closing with unread bytes sends RST and destroys data in flight.
    CloseUnreadRst = "close-unread-rst", None, I;
    /// Both sides write and none reads.
    BothWriteDeadlock = "both-write-deadlock", None, None;
    /// Nothing is sent for an empty file, so a read waits for ever.
    ZeroBytePayload = "zero-byte-payload", None, P;
    /// A full close where a half-close was meant; the confirmation is lost.
    HalfCloseMisuse = "half-close-misuse", None, IP;
    /// Write, write, read costs a delayed TCP ACK a round.
    NagleDelayedAck = "nagle-delayed-ack", None, I;
    /// A silent peer holds the only slot.
    NoTimeout = "no-timeout", I, I;
    /// Connect and FIN ends the server.
    EmptyConnection = "empty-connection", I, I;
    /// A write after the peer closed ends the process (C).
    Sigpipe = "sigpipe", None, None;
    /// A restart fails: address in use.
    TimeWait = "time-wait", I, I;
    /// The stated size is too long or negative.
    SizeOverflow = "size-overflow", I, None;
    /// All of the above pass on plain loopback.
    LocalhostHides = "localhost-hides", None, None;
}

impl fmt::Display for Pitfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_of_the_document_are_those_of_the_catalogue() {
        let document = include_str!("../../../docs/LABS.md");
        let rows: Vec<String> = document
            .lines()
            .filter_map(|line| line.strip_prefix("| "))
            .filter_map(|row| row.rsplit_once(" | ").map(|(verdicts, _)| verdicts.to_owned()))
            .skip_while(|row| row != "pitfall | A | B")
            .skip(1)
            .collect();
        let shown = |whose: Option<Whose>| whose.map_or("-".to_owned(), |whose| whose.to_string());
        let catalogue: Vec<String> = Pitfall::ALL
            .iter()
            .map(|pitfall| {
                let (a, b) = (pitfall.whose(Lab::A), pitfall.whose(Lab::B));
                format!("{pitfall} | {} | {}", shown(a), shown(b))
            })
            .collect();
        assert_eq!(rows, catalogue);
    }
}
