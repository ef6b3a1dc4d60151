//! Sockets that suit their path, chosen by what the kernel has measured of it.
//!
//! Three defaults of systems cost a transfer most of its speed, each on another path:
//!
//! ```text
//!   loopback, one room    a congestion control that paces (bbr)      -> one that waits for loss (cubic, reno)
//!   long                  a send buffer smaller than the path        -> one that holds twice what is under way, and a queue
//!   long, with loss       a congestion control that yields to loss   -> bbr
//! ```
//!
//! and one of ours cost a fifth: little unsent content. A queue that overflows makes holes; whatever fills one lets megabytes go at
//! once, and a program that has not so many ready counts as one that has nothing to say.
//!
//! What is right is known when the connection is made (addresses, the handshake's round trip) but for loss, which is looked
//! for while bytes flow. Nothing here can fail a transfer: what a system does not allow stays as it is. The receive buffer
//! is left alone: setting it would end the kernel's own tuning, which was measured to fill every path that the sender fills.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::limits::{
    COMPRESS_BELOW, LIMITED_SHARE, LONG_RTT, LOSS_SEGMENTS, LOSS_SHARE, OVERFLOW_SHARE, PATH_RATE, QUEUE_BYTES,
    QUEUE_SHARE, QUEUE_TRIPS, RATE_FADES, ROOMY_LOSSES, ROOMY_TRIPS, SEND_BUFFER_MAX, SHORT_RTT, UNREAD_SHARE, UNSENT,
    UNSENT_EACH, UNSENT_MOST, UNSENT_PART,
};
use crate::proxy::Measured;

/// Names of congestion controls that fill a path without loss as fast as the machine can, the better first.
const EAGER: [&str; 2] = ["cubic", "reno"];
/// Those that a loss now and then does not slow.
const STEADY: [&str; 2] = ["bbr", "bbr2"];

/// One socket and what is known of its path.
#[derive(Debug)]
pub(super) struct Fit {
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "there is nobody to ask"))]
    kernel: Option<kernel::Socket>,
    last: Option<Measured>,
    calm: Calm,
    /// What may wait for being sent, if that is ours to say.
    unsent: Option<u32>,
    /// Bytes a second that the path delivers: the most lately, since a hole makes it look slow for a moment.
    rate: u64,
    is_settled: bool,
}

/// What to try, in that order, until the system allows one.
type Names = &'static [&'static str];

impl Fit {
    /// Sets a new connection up for what is known of its path already.
    pub(super) fn new(stream: &TcpStream) -> Self {
        let mut kernel = kernel::Socket::of(stream);
        let last = kernel.as_mut().and_then(kernel::Socket::measure);
        let is_local = kernel.as_ref().is_some_and(kernel::Socket::is_local);
        let mut fit = Self { kernel, last, calm: Calm::default(), unsent: None, rate: 0, is_settled: is_local };
        if let Some(kernel) = &mut fit.kernel {
            let now = kernel.congestion(stream);
            if let Some(names) = at_first(is_local, last, &now) {
                kernel.set_congestion(stream, names);
            }
            if let Some(bytes) = last.filter(|_| !is_local).and_then(|m| send_buffer(m.min_rtt)) {
                fit.unsent = kernel::set_unsent(stream, UNSENT).then_some(UNSENT);
                if fit.unsent.is_some() {
                    kernel.set_send_buffer(stream, bytes);
                }
            }
            tracing::debug!(is_local, congestion = %kernel.congestion(stream), ?last, "path");
        }
        fit
    }

    /// Looks at the path again; to be called now and then while bytes flow.
    pub(super) fn look(&mut self, stream: &TcpStream) {
        let Some(kernel) = &mut self.kernel else { return };
        let Some(measured) = kernel.measure() else { return };
        self.calm.see(&measured, self.last.as_ref());
        self.last = Some(measured);
        tracing::trace!(?measured, "path");
        self.rate = measured.delivery_rate.max(self.rate - self.rate / RATE_FADES);
        if let Some(wanted) = self.unsent.and_then(|now| other_unsent(now, self.rate)) {
            // Unless the connection has become one of several, which keep less.
            let is_ours = kernel::unsent(stream) == self.unsent;
            self.unsent = (is_ours && kernel::set_unsent(stream, wanted)).then_some(wanted);
        }
        // Whatever it was that dropped them: round trips that vary by themselves look like a queue, and there, too, `bbr`
        // is no worse.
        if !self.is_settled && loses(&measured, LOSS_SEGMENTS) {
            self.is_settled = true;
            let now = kernel.congestion(stream);
            if !STEADY.contains(&now.as_str()) {
                kernel.set_congestion(stream, &STEADY);
                tracing::debug!(congestion = %kernel.congestion(stream), ?measured, "the path loses");
            }
        }
    }

    /// What was measured last.
    pub(super) fn measured(&self) -> Option<Measured> {
        self.last
    }

    /// Whether the path has room that one connection does not fill.
    pub(super) fn is_roomy(&self) -> bool {
        self.last.is_some_and(|last| is_roomy(&self.calm.since(&last)))
    }
}

/// Since when no queue of ours has stood on the path: what one drops says nothing of the path.
#[derive(Debug, Default)]
struct Calm {
    from: Option<Measured>,
    /// What is lost until then is laid to the last queue; counted in [`Measured::busy`].
    settles: Duration,
}

impl Calm {
    fn see(&mut self, m: &Measured, before: Option<&Measured>) {
        if is_queued(m) || before.is_some_and(|before| overflows(&between(m, before))) {
            self.settles = m.busy + m.min_rtt * QUEUE_TRIPS;
        }
        // Between looks much happens: what was lost since one that was not settled may have been lost while it was not.
        if before.is_some_and(|before| before.busy < self.settles) {
            self.from = Some(*m);
        }
    }

    /// What is counted, from then on.
    fn since(&self, m: &Measured) -> Measured {
        self.from.as_ref().map_or(*m, |from| between(m, from))
    }
}

/// What is counted, between two looks; all else as it is at the later.
fn between(m: &Measured, before: &Measured) -> Measured {
    Measured {
        sent: m.sent.wrapping_sub(before.sent),
        sent_again: m.sent_again.wrapping_sub(before.sent_again),
        busy: m.busy.saturating_sub(before.busy),
        window_limited: m.window_limited.saturating_sub(before.window_limited),
        buffer_limited: m.buffer_limited.saturating_sub(before.buffer_limited),
        ..*m
    }
}

/// The congestion control to begin with; `None`: the system's. Where there is hardly any way, pacing only costs.
fn at_first(is_local: bool, measured: Option<Measured>, now: &str) -> Option<Names> {
    let is_short = is_local || measured.is_some_and(|m| !m.min_rtt.is_zero() && m.min_rtt < SHORT_RTT);
    (is_short && STEADY.contains(&now)).then_some(&EAGER)
}

/// Bytes that the send buffer must hold so that it never empties on a path of this length: twice what is under way, since all
/// behind a hole is kept until the hole is filled, and a queue; a program is woken only when a third is free. `None`: the
/// system's own tuning is enough.
fn send_buffer(rtt: Duration) -> Option<usize> {
    let under_way = u64::try_from(rtt.as_micros()).ok()?.checked_mul(PATH_RATE)? / 1_000_000;
    let bytes = usize::try_from(2 * under_way + QUEUE_BYTES).ok()?;
    (rtt >= SHORT_RTT).then_some(bytes.min(SEND_BUFFER_MAX))
}

/// What limited a connection between two looks at it was the other side's program: of the path nothing is learned, and
/// fewer bytes would not help it.
pub(super) fn is_unread(m: &Measured, before: &Measured) -> bool {
    let lately = between(m, before);
    lately.window_limited * UNREAD_SHARE > lately.busy
}

/// Whether compression would help: the path takes less than a core can compress. `now` is the answer so far, which stands
/// where nothing is learned: what a program limits says nothing of the path, unless it is fast all the same.
pub(super) fn is_slow(m: &Measured, now: bool) -> bool {
    let is_below = m.delivery_rate < COMPRESS_BELOW;
    match m.is_program_limited || m.delivery_rate == 0 {
        true => now && is_below,
        false => is_below || (now && m.delivery_rate < 2 * COMPRESS_BELOW),
    }
}

/// Whether the path has room that one connection does not fill: it is long, nothing of ours stands in a queue on it, and what
/// holds the connection back are losses, or a send buffer that the system does not let grow.
fn is_roomy(m: &Measured) -> bool {
    let is_limited = m.buffer_limited * LIMITED_SHARE > m.busy;
    let is_held_back = loses(m, ROOMY_LOSSES) || is_limited;
    m.min_rtt >= LONG_RTT && m.busy >= m.min_rtt * ROOMY_TRIPS && !is_queued(m) && is_held_back
}

/// The link is what is full.
fn is_queued(m: &Measured) -> bool {
    m.rtt.saturating_sub(m.min_rtt) * QUEUE_SHARE > m.min_rtt
}

/// More than a path loses by itself.
fn overflows(m: &Measured) -> bool {
    m.sent_again >= LOSS_SEGMENTS && u64::from(m.sent_again) * OVERFLOW_SHARE >= m.sent.into()
}

/// What may wait for being sent from now on, if that is worth a change.
fn other_unsent(now: u32, rate: u64) -> Option<u32> {
    Some(unsent(rate)).filter(|wanted| wanted.abs_diff(now) > now / 4)
}

/// Bytes that may wait for being sent where that much is delivered in a second.
fn unsent(rate: u64) -> u32 {
    u32::try_from(rate / UNSENT_PART).unwrap_or(UNSENT_MOST).clamp(UNSENT, UNSENT_MOST)
}

/// Sets connections up that carry one stream together from now on, of which the first has been in use: each as its path
/// wants it, and none keeps back more than a little of what the others wait for.
pub fn together<'a>(all: impl Iterator<Item = &'a TcpStream>) {
    for (number, stream) in all.enumerate() {
        if number > 0 {
            let _ = Fit::new(stream);
        }
        kernel::set_unsent(stream, UNSENT_EACH);
    }
}

/// Gives a connection the congestion control of another of the same path.
pub(super) fn alike(first: &TcpStream, other: &TcpStream) {
    kernel::alike(first, other);
}

/// The path is long and loses more than a full queue now and then would.
fn loses(m: &Measured, least: u32) -> bool {
    m.min_rtt >= LONG_RTT && m.sent_again >= least && u64::from(m.sent_again) * LOSS_SHARE >= m.sent.into()
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::fs;
    use std::net::SocketAddr;

    use rustix::net::sockopt;
    use tokio::net::TcpStream;

    use crate::proxy::{Diag, Measured};

    /// Whom to ask about a socket.
    #[derive(Debug)]
    pub(super) struct Socket {
        local: SocketAddr,
        remote: SocketAddr,
        diag: Option<Diag>,
    }

    impl Socket {
        pub(super) fn of(stream: &TcpStream) -> Option<Self> {
            let (local, remote) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
            Some(Self { local, remote, diag: Diag::here().ok() })
        }

        /// The peer is on this machine.
        pub(super) fn is_local(&self) -> bool {
            let (local, remote) = (self.local.ip().to_canonical(), self.remote.ip().to_canonical());
            remote.is_loopback() || local == remote
        }

        pub(super) fn measure(&mut self) -> Option<Measured> {
            match self.diag.as_ref()?.measured(self.local, self.remote) {
                Ok(measured) => measured,
                Err(error) => {
                    tracing::debug!(%error, "the kernel does not say how the path is");
                    self.diag = None;
                    None
                }
            }
        }

        pub(super) fn congestion(&self, stream: &TcpStream) -> String {
            sockopt::tcp_congestion(stream).unwrap_or_default()
        }

        pub(super) fn set_congestion(&self, stream: &TcpStream, names: &[&str]) {
            // Not every one is built in, and without privileges only some are allowed.
            let _ = names.iter().any(|name| sockopt::set_tcp_congestion(stream, name).is_ok());
        }

        /// A buffer of `bytes`, or the nearest that is more than what the kernel would come to by itself.
        pub(super) fn set_send_buffer(&self, stream: &TcpStream, bytes: usize) {
            let own = sysctl("net/ipv4/tcp_wmem").and_then(|three| three.split_whitespace().nth(2)?.parse().ok());
            if own.is_some_and(|own: usize| own >= bytes) {
                return;
            }
            // The kernel doubles what it is told.
            if sockopt::set_socket_send_buffer_size_force(stream, bytes / 2).is_ok() {
                return;
            }
            let most = sysctl("net/core/wmem_max").and_then(|text| text.trim().parse::<usize>().ok());
            if let (Some(own), Some(most)) = (own, most)
                && 2 * most > own
            {
                let _ = sockopt::set_socket_send_buffer_size(stream, (bytes / 2).min(most));
            }
        }
    }

    pub(super) fn alike(first: &TcpStream, other: &TcpStream) {
        let own = sockopt::tcp_congestion(first).unwrap_or_default();
        if sockopt::tcp_congestion(other).is_ok_and(|name| name != own) {
            let _ = sockopt::set_tcp_congestion(other, &own);
        }
    }

    /// How much may wait for being sent: last words must not queue behind seconds of content. False where that stays as it was.
    pub(super) fn set_unsent(stream: &TcpStream, bytes: u32) -> bool {
        let set = socket2::SockRef::from(stream).set_tcp_notsent_lowat(bytes);
        set.inspect_err(|error| tracing::debug!(%error, "cannot set TCP_NOTSENT_LOWAT")).is_ok()
    }

    pub(super) fn unsent(stream: &TcpStream) -> Option<u32> {
        socket2::SockRef::from(stream).tcp_notsent_lowat().ok()
    }

    fn sysctl(name: &str) -> Option<String> {
        fs::read_to_string(format!("/proc/sys/{name}")).ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use tokio::net::TcpStream;

    use crate::proxy::Measured;

    pub(super) fn alike(_: &TcpStream, _: &TcpStream) {}

    pub(super) fn set_unsent(_: &TcpStream, _: u32) -> bool {
        false
    }

    pub(super) fn unsent(_: &TcpStream) -> Option<u32> {
        None
    }

    /// Nobody to ask.
    #[derive(Debug)]
    pub(super) enum Socket {}

    impl Socket {
        pub(super) fn of(_: &TcpStream) -> Option<Self> {
            None
        }

        pub(super) fn is_local(&self) -> bool {
            match *self {}
        }

        pub(super) fn measure(&mut self) -> Option<Measured> {
            match *self {}
        }

        pub(super) fn congestion(&self, _: &TcpStream) -> String {
            match *self {}
        }

        pub(super) fn set_congestion(&self, _: &TcpStream, _: &[&str]) {
            match *self {}
        }

        pub(super) fn set_send_buffer(&self, _: &TcpStream, _: usize) {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn measured(min_rtt: Duration, sent: u32, sent_again: u32) -> Measured {
        let (acknowledged, delivery_rate) = (0, 0);
        let (busy, window_limited, buffer_limited) = (Duration::from_secs(10), Duration::ZERO, Duration::ZERO);
        let is_program_limited = false;
        Measured {
            rtt: min_rtt,
            min_rtt,
            sent,
            sent_again,
            acknowledged,
            delivery_rate,
            is_program_limited,
            busy,
            window_limited,
            buffer_limited,
        }
    }

    #[test]
    fn pacing_is_given_up_where_there_is_hardly_any_way_and_nowhere_else() {
        let (room, far) = (Some(measured(MS / 10, 0, 0)), Some(measured(50 * MS, 0, 0)));
        assert_eq!(at_first(true, None, "bbr"), Some(&EAGER[..]));
        assert_eq!(at_first(false, room, "bbr"), Some(&EAGER[..]));
        assert_eq!(at_first(false, far, "bbr"), None);
        assert_eq!(at_first(false, None, "bbr"), None, "nothing is known");
        assert_eq!(at_first(false, Some(measured(Duration::ZERO, 0, 0)), "bbr"), None, "nothing is known");
        assert_eq!(at_first(true, None, "cubic"), None, "it is eager already");
    }

    #[test]
    fn send_buffer_grows_with_the_path_up_to_its_bound() {
        assert_eq!(send_buffer(MS / 2), None);
        let (short, long) = (send_buffer(10 * MS).unwrap(), send_buffer(20 * MS).unwrap());
        assert_eq!(long - short, 5_000_000, "twice what 10 ms more hold");
        assert!(
            send_buffer(100 * MS).unwrap() >= 3 * 12_500_000,
            "1 Gbit/s, as much in a queue, and what wakes a program"
        );
        assert_eq!(send_buffer(Duration::from_secs(3600)), Some(SEND_BUFFER_MAX));
    }

    #[test]
    fn path_is_slow_when_it_takes_less_than_a_core_compresses_and_stays_so_while_nothing_is_learned() {
        let at = |delivery_rate, is_program_limited| Measured {
            delivery_rate,
            is_program_limited,
            ..measured(50 * MS, 1_000, 0)
        };
        assert!(is_slow(&at(1_000_000, false), false));
        assert!(!is_slow(&at(1_000_000, true), false), "the program had nothing to send");
        assert!(is_slow(&at(1_000_000, true), true));
        assert!(!is_slow(&at(COMPRESS_BELOW, false), false));
        assert!(is_slow(&at(COMPRESS_BELOW, false), true), "no flutter at the border");
        assert!(!is_slow(&at(COMPRESS_BELOW, true), true), "compression has become what limits");
        assert!(!is_slow(&at(2 * COMPRESS_BELOW, false), true));
        assert!(!is_slow(&at(0, false), false), "nothing is known");
    }

    #[test]
    fn loss_is_more_than_a_few_segments_of_many_on_a_long_path() {
        assert!(loses(&measured(50 * MS, 10_000, 10), LOSS_SEGMENTS));
        assert!(!loses(&measured(MS, 10_000, 10), LOSS_SEGMENTS), "close by, cubic recovers at once");
        assert!(!loses(&measured(50 * MS, 1_000, 2), LOSS_SEGMENTS), "two are chance");
        assert!(!loses(&measured(50 * MS, 1_000_000, 10), LOSS_SEGMENTS), "a queue was full once");
    }

    #[test]
    fn what_a_full_queue_dropped_is_no_loss_of_the_path() {
        let at = |busy: u32, rtt: u32, sent, sent_again| Measured {
            busy: busy * MS,
            rtt: rtt * MS,
            ..measured(50 * MS, sent, sent_again)
        };
        let mut calm = Calm::default();
        let mut before = None;
        // A queue stands, overflows, and is gone; what it dropped is sent again for a while yet.
        for m in [at(100, 50, 100, 0), at(200, 70, 1_000, 200), at(300, 51, 2_000, 300), at(420, 51, 2_100, 320)] {
            calm.see(&m, before.replace(m).as_ref());
        }
        let later = at(700, 51, 10_000, 322);
        calm.see(&later, before.replace(later).as_ref());
        assert!(!loses(&calm.since(&later), ROOMY_LOSSES), "{:?}", calm.since(&later));
        let much_later = at(960, 51, 12_000, 332);
        calm.see(&much_later, before.as_ref());
        assert!(loses(&calm.since(&much_later), ROOMY_LOSSES), "these are the path's own");
        assert!(is_roomy(&calm.since(&much_later)));
    }

    #[test]
    fn without_a_queue_losses_count_from_the_beginning() {
        let mut calm = Calm::default();
        let first = Measured { busy: 60 * MS, ..measured(50 * MS, 1_000, 2) };
        calm.see(&first, None);
        let next = Measured { busy: 300 * MS, ..measured(50 * MS, 3_000, 3) };
        calm.see(&next, Some(&first));
        assert!(is_roomy(&calm.since(&next)));
    }

    #[test]
    fn what_may_wait_to_be_sent_is_an_eighth_of_a_second_within_bounds() {
        assert_eq!(unsent(0), UNSENT);
        assert_eq!(unsent(80_000_000), 10_000_000);
        assert_eq!(unsent(u64::MAX), UNSENT_MOST);
        assert_eq!(other_unsent(10_000_000, 96_000_000), None, "no flutter");
        assert_eq!(other_unsent(10_000_000, 120_000_000), Some(15_000_000));
        assert_eq!(other_unsent(10_000_000, 0), Some(UNSENT));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn connection_that_has_become_one_of_several_keeps_what_it_was_told_then() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let kept = || socket2::SockRef::from(&stream).tcp_notsent_lowat().unwrap();
        let mut fit = Fit::new(&stream);
        // As if the path were long and fast.
        fit.unsent = kernel::set_unsent(&stream, UNSENT).then_some(UNSENT);
        fit.rate = u64::from(UNSENT_MOST) * UNSENT_PART * 2;
        fit.look(&stream);
        assert_eq!(kept(), UNSENT_MOST);
        kernel::set_unsent(&stream, UNSENT_EACH);
        fit.rate = 0;
        fit.look(&stream);
        assert_eq!((kept(), fit.unsent), (UNSENT_EACH, None));
    }

    #[test]
    fn peer_that_does_not_read_is_no_slow_path() {
        let before = measured(50 * MS, 1_000, 0);
        let later = Measured { busy: before.busy + 100 * MS, ..before };
        assert!(!is_unread(&later, &before));
        assert!(!is_unread(&Measured { window_limited: 10 * MS, ..later }, &before), "now and then");
        assert!(is_unread(&Measured { window_limited: 60 * MS, ..later }, &before));
        assert!(!is_unread(&before, &before), "nothing was under way");
    }

    #[test]
    fn path_has_room_where_losses_or_a_small_buffer_hold_a_connection_back_and_no_queue_does() {
        let losing = measured(50 * MS, 10_000, 10);
        let limited = Measured { buffer_limited: Duration::from_secs(6), ..measured(50 * MS, 10_000, 0) };
        assert!(is_roomy(&losing));
        assert!(is_roomy(&limited));
        assert!(!is_roomy(&measured(50 * MS, 10_000, 0)), "nothing holds it back");
        assert!(!is_roomy(&measured(50 * MS, 10_000, 2)), "two are chance");
        for one in [losing, limited] {
            assert!(!is_roomy(&Measured { rtt: 80 * MS, ..one }), "the link is what is full");
            assert!(!is_roomy(&Measured { min_rtt: MS, rtt: MS, ..one }), "close by");
            assert!(!is_roomy(&Measured { busy: 100 * MS, ..one }), "it has only begun");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn loopback_has_a_congestion_control_that_does_not_pace() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        // Whatever the system's default is: this machine's may be eager already.
        let _ = rustix::net::sockopt::set_tcp_congestion(&stream, "bbr");
        let fit = Fit::new(&stream);
        let name = rustix::net::sockopt::tcp_congestion(&stream).unwrap();
        assert!(!STEADY.contains(&name.as_str()), "{name}");
        assert!(fit.measured().is_some_and(|m| m.min_rtt < 100 * MS), "{fit:?}");
    }
}
