//! The states of one stream on the receiver's side, and every transition (PROTOCOL §7.5).

use crate::machine::Next;

/// One stream, from OFFER to its end.
///
/// ```text
///   Preparing --Fresh, Partial, SameContent--> Ready --Content--> Receiving --End--> Finishing --RootGood--> Verified
///     | | \--SameMeta------------------------.   \---------------------------End-----^                          |
///     | |                                    '------------------------------------------------------------>----+
///     | \--Refused--> (closed)                    Ready --EndSame--> Verified                                  Commit
///     \--Cut--> Abandoned --Usable, SameMeta, Refused--> (closed)                         (closed) <--Landed-- Landing <-'
///
///   Ready, Receiving: StorageFailed --> Spoilt --PeerError, End--> (closed)     PeerError --> (closed)
///   Finishing: RootBad, StorageFailed --> (closed)     Landing: StorageFailed --> (closed)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The storage decides about the offer.
    Preparing,
    /// The session ended before the storage decided.
    Abandoned,
    /// ACK1 sent; content, or END for the same or an empty file, expected.
    Ready,
    /// Content comes.
    Receiving,
    /// The storage failed; what the sender sent before it heard of that is ignored.
    Spoilt,
    /// END came; the storage finishes the hash.
    Finishing,
    /// Content is right; waits for its sync group.
    Verified,
    /// In the sync group that is being landed.
    Landing,
}

/// What can happen to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Nothing useful is there, or a prefix, or a file to compare.
    Usable,
    /// The same file is there by size and time.
    SameMeta,
    /// The storage refuses the offer.
    Refused,
    /// DATA or HOLE.
    Content,
    /// END.
    End,
    /// END that agrees with the root that ACK1 stated.
    EndSame,
    /// ERROR for this stream.
    PeerError,
    /// The session is over.
    Cut,
    /// The root is what END said.
    RootGood,
    /// It is not.
    RootBad,
    /// The sync group begins.
    Commit,
    /// Under its final name.
    Landed,
    /// The storage failed.
    StorageFailed,
}

/// All states, for the table.
pub const STATES: [State; 8] = [
    State::Preparing,
    State::Abandoned,
    State::Ready,
    State::Receiving,
    State::Spoilt,
    State::Finishing,
    State::Verified,
    State::Landing,
];
/// All inputs, for the table.
pub const INPUTS: [Input; 13] = [
    Input::Usable,
    Input::SameMeta,
    Input::Refused,
    Input::Content,
    Input::End,
    Input::EndSame,
    Input::PeerError,
    Input::Cut,
    Input::RootGood,
    Input::RootBad,
    Input::Commit,
    Input::Landed,
    Input::StorageFailed,
];

/// The transition table of a stream.
pub fn next(state: State, input: Input) -> Next<State> {
    use {Input as I, Next::*, State as S};
    match (state, input) {
        (S::Preparing, I::Usable) => To(S::Ready),
        (S::Preparing, I::SameMeta) => To(S::Verified),
        (S::Preparing, I::Refused | I::StorageFailed) => Close,
        (S::Preparing, I::Cut) => To(S::Abandoned),
        (S::Abandoned, I::Usable | I::SameMeta | I::Refused | I::StorageFailed) => Close,
        (S::Preparing | S::Abandoned, I::Content | I::End | I::EndSame) => Violation("FT-21"),

        (S::Ready | S::Receiving, I::Content) => To(S::Receiving),
        (S::Ready | S::Receiving, I::End) => To(S::Finishing),
        (S::Ready, I::EndSame) => To(S::Verified),
        (S::Receiving, I::EndSame) => To(S::Finishing),
        (S::Ready | S::Receiving, I::PeerError | I::Cut) => Close,
        (S::Ready | S::Receiving, I::StorageFailed) => To(S::Spoilt),

        (S::Spoilt, I::Content) => To(S::Spoilt),
        (S::Spoilt, I::End | I::EndSame | I::PeerError | I::Cut) => Close,

        (S::Finishing, I::RootGood) => To(S::Verified),
        (S::Finishing, I::RootBad | I::StorageFailed) => Close,
        (S::Verified, I::Commit) => To(S::Landing),
        (S::Landing, I::Landed | I::StorageFailed) => Close,
        (S::Finishing | S::Verified | S::Landing, I::Content | I::End | I::EndSame) => Violation("FT-26"),
        (S::Preparing | S::Abandoned | S::Finishing | S::Verified | S::Landing, I::PeerError) => Violation("FT-69"),
        (S::Abandoned | S::Finishing | S::Verified | S::Landing, I::Cut) => To(state),

        (
            S::Ready | S::Receiving | S::Spoilt | S::Finishing | S::Verified | S::Landing,
            I::Usable | I::SameMeta | I::Refused,
        )
        | (
            S::Preparing | S::Abandoned | S::Ready | S::Receiving | S::Spoilt | S::Verified | S::Landing,
            I::RootGood | I::RootBad,
        )
        | (S::Preparing | S::Abandoned | S::Ready | S::Receiving | S::Spoilt | S::Finishing | S::Landing, I::Commit)
        | (S::Preparing | S::Abandoned | S::Ready | S::Receiving | S::Spoilt | S::Finishing | S::Verified, I::Landed)
        | (S::Spoilt | S::Verified, I::StorageFailed) => Bug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_every_state_and_input() {
        insta::with_settings!({ snapshot_path => "../../../snapshots", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!("receiver-table", crate::machine::table(&STATES, &INPUTS, next));
        });
    }
}
