//! The link against the kernel: the same moves over a simulated connection and over loopback TCP must look the same to
//! the program: what each read and write returns, which error, and in which order.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the kernel is what the link is held against")]

use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ft_sim::{Endpoint, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// One move of a party: 0 is the client, 1 the server.
#[derive(Clone, Copy, Debug)]
enum Move {
    Write(usize, usize),
    Read(usize, usize),
    Shutdown(usize),
    Close(usize),
}

use Move::{Close, Read as Take, Shutdown as Shut, Write as Put};

/// What the program sees of a move.
fn show<T: std::fmt::Debug>(result: &io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?}", error.kind()),
    }
}

fn now_or_would_block<F: Future<Output = io::Result<usize>>>(future: F) -> io::Result<usize> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

fn on_the_link(moves: &[Move]) -> Vec<String> {
    let mut world = World::new();
    let (client, server) = world.connect();
    let mut ends: [Option<Endpoint>; 2] = [Some(client), Some(server)];
    let open = |end: &mut Option<Endpoint>, act: &dyn Fn(&mut Endpoint) -> io::Result<usize>| {
        show(&act(end.as_mut().expect("scripts use a socket only before closing it")))
    };
    moves
        .iter()
        .map(|step| match *step {
            Put(who, len) => open(&mut ends[who], &|end| now_or_would_block(end.write(&vec![1; len]))),
            Take(who, len) => open(&mut ends[who], &|end| now_or_would_block(end.read(&mut vec![0; len]))),
            Shut(who) => open(&mut ends[who], &|end| now_or_would_block(async { end.shutdown().await.map(|()| 0) })),
            Close(who) => {
                ends[who] = None;
                "closed".to_owned()
            }
        })
        .collect()
}

/// The same over TCP. Loopback is fast but not instant: each move is given up to a second to look as expected, and a
/// move that is expected to block must still do so after a while.
fn on_the_kernel(moves: &[Move], expected: &[String]) -> Vec<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    let mut ends = [Some(client), Some(server)];
    for end in ends.iter().flatten() {
        end.set_nonblocking(true).unwrap();
        end.set_nodelay(true).unwrap();
    }
    let mut seen = Vec::new();
    for (step, expected) in moves.iter().zip(expected) {
        if expected == "WouldBlock" {
            sleep(Duration::from_millis(20));
        }
        let deadline = Instant::now() + Duration::from_secs(1);
        let result = loop {
            let result = match *step {
                Put(who, len) => show(&ends[who].as_mut().unwrap().write(&vec![1; len])),
                Take(who, len) => show(&ends[who].as_mut().unwrap().read(&mut vec![0; len])),
                // A socket that is gone cannot be shut down; tokio's streams take that for done.
                Shut(who) => match ends[who].as_mut().unwrap().shutdown(Shutdown::Write) {
                    Err(error) if error.kind() == ErrorKind::NotConnected => "0".to_owned(),
                    other => show(&other.map(|()| 0)),
                },
                Close(who) => {
                    ends[who] = None;
                    "closed".to_owned()
                }
            };
            // Only a read that finds nothing may be asked again: it took nothing.
            if result == *expected || result != "WouldBlock" || Instant::now() > deadline {
                break result;
            }
            sleep(Duration::from_millis(1));
        };
        seen.push(result);
        // What the move sent has to arrive before the next one looks.
        sleep(Duration::from_millis(5));
    }
    seen
}

#[track_caller]
fn agree(moves: &[Move]) {
    let link = on_the_link(moves);
    let kernel = on_the_kernel(moves, &link);
    let told: Vec<_> = moves.iter().zip(link.iter().zip(&kernel)).collect();
    assert_eq!(link, kernel, "{told:#?}");
}

#[test]
fn bytes_merge_and_partial_reads_leave_the_rest() {
    agree(&[Put(0, 3), Put(0, 4), Take(1, 5), Take(1, 5), Take(1, 5), Put(1, 2), Take(0, 9)]);
}

#[test]
fn half_close_ends_one_direction_and_leaves_the_other() {
    agree(&[Put(0, 3), Shut(0), Take(1, 9), Take(1, 9), Put(1, 4), Take(0, 9), Put(0, 1), Take(1, 9), Take(0, 9)]);
}

#[test]
fn close_without_unread_bytes_is_a_fin_and_a_late_write_succeeds_once() {
    agree(&[Put(1, 2), Take(0, 9), Close(1), Take(0, 9), Put(0, 5), Put(0, 5), Take(0, 9), Put(0, 5)]);
}

#[test]
fn close_with_unread_bytes_is_a_rst_and_what_had_arrived_stays_readable() {
    agree(&[Put(1, 3), Put(0, 5), Close(1), Take(0, 2), Take(0, 2), Take(0, 2), Take(0, 2), Put(0, 1)]);
}

#[test]
fn first_write_after_a_rst_fails_as_reset_and_later_ones_as_broken_pipe() {
    agree(&[Put(0, 5), Close(1), Put(0, 1), Put(0, 1), Take(0, 1), Shut(0)]);
}

#[test]
fn reset_is_reported_once_and_then_reads_give_end_of_stream() {
    agree(&[Put(0, 5), Close(1), Take(0, 1), Take(0, 1), Take(0, 1), Put(0, 1)]);
}

#[test]
fn close_after_fin_and_reply_to_it_is_an_ordinary_end() {
    agree(&[Put(0, 3), Shut(0), Take(1, 9), Take(1, 9), Put(1, 3), Close(1), Take(0, 9), Take(0, 9), Close(0)]);
}

#[test]
fn close_with_unread_bytes_after_the_peers_fin_resets_it_too() {
    agree(&[Put(0, 3), Shut(0), Put(1, 2), Close(1), Take(0, 9), Take(0, 9), Take(0, 9), Put(0, 1)]);
}

#[test]
fn both_half_closed_reads_end_and_writes_are_broken_pipes() {
    agree(&[Shut(0), Shut(1), Take(0, 1), Take(1, 1), Put(0, 1), Put(1, 1)]);
}

#[test]
fn rst_after_a_fin_was_received_is_a_broken_pipe_and_never_a_reset() {
    agree(&[Close(1), Take(0, 1), Put(0, 1), Take(0, 1), Put(0, 1), Put(0, 1)]);
}
