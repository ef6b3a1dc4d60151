//! The states of one stream on the sender's side, and every transition (PROTOCOL §7.5).

use crate::machine::Next;

/// One stream, from OFFER to its end.
///
/// ```text
///   Offered --Ack1Resume--> Checking ---Checked---------.
///    | | | \--Ack1Same----> Comparing --Equal, Differs---+
///    | | \----Ack1Send-----------------------------------+--> Sending --Exhausted--> Ended --Ack2--> (closed)
///    | \------Ack1SameMeta---------------------------------------------------------/
///    \--------Ack1Refused--> (closed)      any but Offered: PeerError, SourceFailed --> (closed)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// OFFER sent, ACK1 expected.
    Offered,
    /// The receiver stated a prefix; our own is being compared.
    Checking,
    /// The receiver stated a root; ours is being computed.
    Comparing,
    /// Content goes out, or waits for its turn.
    Sending,
    /// END sent (or nothing to send), ACK2 expected.
    Ended,
}

/// What can happen to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// ACK1: send all.
    Ack1Send,
    /// ACK1: continue behind a prefix.
    Ack1Resume,
    /// ACK1: equal by size and time.
    Ack1SameMeta,
    /// ACK1: here is my root.
    Ack1Same,
    /// ACK1: no.
    Ack1Refused,
    /// ACK2.
    Ack2,
    /// ERROR for this stream.
    PeerError,
    /// The common prefix is known.
    Checked,
    /// Our root equals the receiver's.
    Equal,
    /// It does not.
    Differs,
    /// All content and END are queued.
    Exhausted,
    /// The source cannot deliver what was offered.
    SourceFailed,
}

/// All states, for the table.
pub const STATES: [State; 5] = [State::Offered, State::Checking, State::Comparing, State::Sending, State::Ended];
/// All inputs, for the table.
pub const INPUTS: [Input; 12] = [
    Input::Ack1Send,
    Input::Ack1Resume,
    Input::Ack1SameMeta,
    Input::Ack1Same,
    Input::Ack1Refused,
    Input::Ack2,
    Input::PeerError,
    Input::Checked,
    Input::Equal,
    Input::Differs,
    Input::Exhausted,
    Input::SourceFailed,
];

/// The transition table of a stream.
pub fn next(state: State, input: Input) -> Next<State> {
    use {Input as I, Next::*, State as S};
    match (state, input) {
        (S::Offered, I::Ack1Send) => To(S::Sending),
        (S::Offered, I::Ack1Resume) => To(S::Checking),
        (S::Offered, I::Ack1SameMeta) => To(S::Ended),
        (S::Offered, I::Ack1Same) => To(S::Comparing),
        (S::Offered, I::Ack1Refused) => Close,
        (S::Offered, I::PeerError) => Violation("FT-68"),
        (S::Checking | S::Comparing | S::Sending | S::Ended, I::PeerError) => Close,
        (
            S::Checking | S::Comparing | S::Sending | S::Ended,
            I::Ack1Send | I::Ack1Resume | I::Ack1SameMeta | I::Ack1Same | I::Ack1Refused,
        ) => Violation("FT-20"),
        (S::Offered | S::Checking | S::Comparing | S::Sending, I::Ack2) => Violation("FT-28"),
        (S::Ended, I::Ack2) => Close,
        (S::Checking, I::Checked) => To(S::Sending),
        (S::Comparing, I::Equal | I::Differs) => To(S::Sending),
        (S::Sending, I::Exhausted) => To(S::Ended),
        (S::Checking | S::Comparing | S::Sending, I::SourceFailed) => Close,
        (S::Offered | S::Comparing | S::Sending | S::Ended, I::Checked)
        | (S::Offered | S::Checking | S::Sending | S::Ended, I::Equal | I::Differs)
        | (S::Offered | S::Checking | S::Comparing | S::Ended, I::Exhausted)
        | (S::Offered | S::Ended, I::SourceFailed) => Bug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_every_state_and_input() {
        insta::with_settings!({ snapshot_path => "../../../snapshots", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!("sender-table", crate::machine::table(&STATES, &INPUTS, next));
        });
    }
}
