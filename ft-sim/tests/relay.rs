//! The relay by itself, between two connections of the simulator, with a gate that knows no more than a proxy does: no
//! counted reads, no exact windows, only time.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use ft_sim::relay::{Gate, Relay, StreamLeg};
use ft_sim::trace::What;
use ft_sim::{
    CLIENT, Clock, Direction, Endpoint, Faults, HostDeath, HostId, HostTask, Party, SERVER, Schedule, Sleep, World,
    explore, run,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const RELAY: HostId = 2;

/// How long this gate gives a reader.
const PATIENCE: Duration = Duration::from_millis(100);

/// Knows nothing of the parties.
struct Blind {
    clock: Clock,
    patience: [Option<Sleep>; 2],
    told: Rc<RefCell<Vec<String>>>,
}

impl Gate for Blind {
    type Sleep = Sleep;

    fn sleep(&self, span: Duration) -> Sleep {
        self.clock.sleep(span)
    }

    fn poll_taken(&mut self, dir: Direction, _: u64, cx: &mut Context<'_>) -> Poll<()> {
        let slot = &mut self.patience[usize::from(dir == Direction::S2c)];
        let sleep = slot.get_or_insert_with(|| self.clock.sleep(PATIENCE));
        let result = Pin::new(sleep).poll(cx);
        if result.is_ready() {
            *slot = None;
        }
        result
    }

    fn reader_gone(&self, _: Direction) -> bool {
        false
    }

    fn written(&self, _: Direction) -> Option<u64> {
        None
    }

    fn activity(&self) -> u64 {
        0
    }

    fn narrow(&mut self, dir: Direction, bytes: u64) {
        self.told.borrow_mut().push(format!("narrow {dir} {bytes}"));
    }

    fn widen(&mut self, dir: Direction) {
        self.told.borrow_mut().push(format!("widen {dir}"));
    }

    fn forwarded(&mut self, _: Direction, _: u64) {}

    fn fin_forwarded(&mut self, _: Direction) {}

    fn resets(&mut self, party: Party) {
        self.told.borrow_mut().push(format!("reset {party}"));
    }

    fn dies(&mut self, party: Party, death: HostDeath) {
        self.told.borrow_mut().push(format!("{death:?} {party}"));
    }

    fn is_dark(&self) -> bool {
        false
    }

    fn saw(&mut self, what: What) {
        if let What::Deliver { dir, offset, bytes, .. } = what {
            self.told.borrow_mut().push(format!("{dir} {offset}+{}", bytes.len()));
        }
    }
}

/// What each read returned, up to the end or an error.
async fn reads(stream: &mut Endpoint) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut buf = [0; 64];
    while let Ok(n) = stream.read(&mut buf).await {
        if n == 0 {
            break;
        }
        all.push(buf[..n].to_vec());
    }
    all
}

/// What each read of either party returned, client first; and what the gate was told.
type Said = (Vec<Vec<Vec<u8>>>, Vec<String>);

/// A client and a server with a relay between them that plays the schedule.
fn between<'a, C, S>(
    world: &'a mut World,
    schedule: &Schedule,
    client: impl FnOnce(Endpoint) -> C,
    server: impl FnOnce(Endpoint) -> S,
) -> Said
where
    C: Future<Output = Vec<Vec<u8>>> + 'a,
    S: Future<Output = Vec<Vec<u8>>> + 'a,
{
    let told = Rc::new(RefCell::new(Vec::new()));
    let (near, client_leg) = world.connect_hosts(CLIENT, RELAY);
    let (server_leg, far) = world.connect_hosts(RELAY, SERVER);
    let gate = Blind { clock: world.clock(), patience: [None, None], told: Rc::clone(&told) };
    let relay = Relay::new(1, schedule, gate);
    let relay = async move {
        relay.run(StreamLeg::new(client_leg, drop), StreamLeg::new(server_leg, drop)).await;
        Vec::new()
    };
    let tasks: Vec<HostTask<'_, Vec<Vec<u8>>>> =
        vec![(CLIENT, Box::pin(client(near))), (RELAY, Box::pin(relay)), (SERVER, Box::pin(server(far)))];
    let said = world.run(tasks).into_iter().map(|ended| ended.done().unwrap_or_default()).collect();
    (said, told.take())
}

/// The client asks in two writes, the server answers when it has all; each says what its reads returned.
fn converse(world: &mut World, schedule: &Schedule) -> Said {
    let client = |mut client: Endpoint| async move {
        // A broken connection shows in what is read.
        let _ = client.write_all(b"what ").await;
        let _ = client.write_all(b"time?").await;
        let _ = client.shutdown().await;
        reads(&mut client).await
    };
    let server = |mut server: Endpoint| async move {
        let asked = reads(&mut server).await;
        let _ = server.write_all(b"noon").await;
        let _ = server.shutdown().await;
        asked
    };
    between(world, schedule, client, server)
}

/// As [`converse`], on a network that does nothing else; and the promise that broke.
fn played(schedule: &str) -> (Vec<Vec<Vec<u8>>>, Vec<String>, Option<String>) {
    let schedule: Schedule = schedule.parse().expect("a schedule");
    let result = RefCell::default();
    let case = |world: &mut World| *result.borrow_mut() = converse(world, &schedule);
    let run = run(case, &Schedule::benign());
    let (said, told) = result.into_inner();
    (said, told, run.violation.map(|violation| violation.name))
}

#[test]
fn relay_without_a_schedule_changes_nothing_whatever_the_network_does() {
    let case = |world: &mut World| {
        let (said, _) = converse(world, &Schedule::benign());
        let text: Vec<Vec<u8>> = said.into_iter().map(|reads| reads.concat()).collect();
        world.always_eq("everything arrives", text, vec![b"noon".to_vec(), Vec::new(), b"what time?".to_vec()]);
    };
    explore("relay", case).faults(&Faults::segmentation()).exhaustive(2).swarm(1, 500).assert_passed();
}

#[test]
fn split_reaches_the_reader_in_two_reads_without_any_knowledge_of_it() {
    let (said, told, _) = played("c2s@3 split; s2c@1 split");
    assert_eq!(said[2], [b"wha".to_vec(), b"t time?".to_vec()]);
    assert_eq!(said[0], [b"n".to_vec(), b"oon".to_vec()]);
    assert_eq!(told, ["c2s 0+3", "c2s 3+7", "s2c 0+1", "s2c 1+3"]);
}

#[test]
fn hold_makes_one_write_of_all_that_was_held() {
    let (said, told, _) = played("c2s@0 hold; s2c@2 hold");
    assert_eq!(said[2], [b"what time?".to_vec()]);
    assert_eq!(told[0], "c2s 0+10");
    assert_eq!(said[0].concat(), b"noon");
}

#[test]
fn half_close_ends_one_direction_and_what_follows_is_swallowed() {
    let (said, told, _) = played("c2s@4 half-close");
    assert_eq!(said[2], [b"what".to_vec()]);
    assert_eq!(said[0].concat(), b"noon", "the other direction goes on");
    assert_eq!(told[..2], ["c2s 0+4", "widen c2s"]);
}

#[test]
fn fin_ends_both_directions_and_a_later_write_is_refused() {
    let (said, told, _) = played("c2s@4 fin");
    assert_eq!((said[2].concat(), said[0].concat()), (b"what".to_vec(), Vec::new()));
    assert!(told.contains(&"reset server".to_owned()), "its answer came too late: {told:?}");
}

#[test]
fn rst_resets_both_legs_and_bytes_that_had_arrived_stay_readable() {
    let (said, told, _) = played("c2s@4 rst");
    assert_eq!(said[2].concat(), b"what");
    assert_eq!(told.iter().filter(|line| line.starts_with("reset")).count(), 2, "{told:?}");
}

#[test]
fn window_and_deaths_are_asked_of_whoever_can_see_to_them() {
    let (said, told, broken) = played("c2s@5 window 2; s2c@1 kill server");
    assert_eq!(told[1], "narrow c2s 2");
    assert!(told.contains(&"Killed server".to_owned()), "{told:?}");
    assert_eq!((said[0].concat(), broken), (b"noon".to_vec(), None), "this gate kills nobody");
}

#[test]
fn crash_is_silence_in_both_directions_even_towards_the_living() {
    let (_, told, broken) = played("s2c@2 crash server");
    assert_eq!(told.last().map(String::as_str), Some("Crashed server"));
    assert_eq!(broken.as_deref(), Some("no deadlock"), "the client waits for ever, as nobody tells it anything");
}

/// Found where a proxy stood before a program: it slept for ever.
#[test]
fn delay_that_begins_while_the_other_direction_settles_ends() {
    let schedule: Schedule = "c2s@0 delay 500ms; s2c@5 split".parse().expect("a schedule");
    let asked = RefCell::default();
    let case = |world: &mut World| {
        let clock = world.clock();
        let client = |mut client: Endpoint| async move {
            // In the middle of the looks that follow the split's wait.
            clock.sleep(PATIENCE + Duration::from_millis(7)).await;
            let _ = client.write_all(b"what").await;
            let _ = client.shutdown().await;
            reads(&mut client).await
        };
        let server = |mut server: Endpoint| async move {
            let _ = server.write_all(b"hello").await;
            reads(&mut server).await
        };
        *asked.borrow_mut() = between(world, &schedule, client, server).0[2].concat();
    };
    let run = run(case, &Schedule::benign());
    assert_eq!((asked.into_inner(), run.violation), (b"what".to_vec(), None));
}
