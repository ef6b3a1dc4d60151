//! A transport that carries content: what of it the storage gets as parcels, and what through memory.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use ft_core::carry::{Bulk, Parcel, Taken, Transport};
use ft_core::memory::{Entry, Memory, MemoryStorage};
use ft_core::session::{self, NoPulse, Options};
use ft_core::storage::{Buf, LandDone, LandOp, Storage};
use tokio::io::{AsyncRead as _, DuplexStream, ReadBuf};

/// Content from this length on is carried.
const LEAST: u64 = 100_000;
/// A parcel is full when it holds this much.
const ROOM: usize = 160_000;

/// Carries what comes in memory of its own.
struct Carrier {
    stream: DuplexStream,
    filling: Vec<u8>,
}

impl Transport for Carrier {
    type Stream = DuplexStream;

    fn stream(&mut self) -> &mut DuplexStream {
        &mut self.stream
    }

    fn least_carried(&self) -> u64 {
        LEAST
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, max: u64) -> Poll<std::io::Result<Taken>> {
        let most = usize::try_from(max).unwrap().min(ROOM - self.filling.len());
        if most == 0 {
            return Poll::Ready(Ok(Taken::Full));
        }
        let mut some = vec![0; most];
        let mut read = ReadBuf::new(&mut some);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        self.filling.extend_from_slice(read.filled());
        Poll::Ready(Ok(Taken::Bytes(read.filled().len() as u64)))
    }

    fn take_parcel(&mut self) -> Option<Parcel> {
        let held = std::mem::take(&mut self.filling);
        (!held.is_empty()).then(|| Parcel { len: held.len() as u64, what: Box::new(held) })
    }
}

/// Opens parcels, and remembers how content came: its length, and whether it was carried.
struct Opening {
    inner: MemoryStorage,
    came: Arc<Mutex<Vec<(usize, bool)>>>,
}

impl Storage for Opening {
    fn submit(&mut self, op: LandOp, content: Option<Bulk>) {
        let content = content.map(|bulk| match bulk {
            Bulk::Bytes(buf) => (buf, false),
            Bulk::Parcel(parcel) => (Buf::copy_of(parcel.what.downcast_ref::<Vec<u8>>().unwrap()), true),
        });
        if let Some((buf, carried)) = &content {
            self.came.lock().unwrap().push((buf.len(), *carried));
        }
        self.inner.submit(op, content.map(|(buf, _)| Bulk::Bytes(buf)));
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)> {
        self.inner.poll_done(cx)
    }
}

/// The rest of a frame is less than what is worth carrying by itself. A buffer for it would be of another size each time.
#[tokio::test]
async fn content_that_is_carried_is_carried_to_its_end_however_often_a_parcel_is_full() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let content: Vec<u8> = (0..5 * (1 << 20) + 77_777u32).map(|i| (i / 7).to_le_bytes()[0]).collect();
    let (from, to) = (Memory::new(), Memory::new());
    from.put(Entry::file("a", &content));
    let came = Arc::default();
    let storage = Opening { inner: to.storage(), came: Arc::clone(&came) };
    let options = Options::default();
    let receive = async {
        let accepted = session::accept(Carrier { stream: far, filling: Vec::new() }, &[]).await.unwrap();
        accepted.receive(storage, &options, NoPulse, |_| ()).await
    };
    let (received, sent) = tokio::join!(receive, session::push(near, from.source(), &options, NoPulse, |_| ()));
    assert_eq!((received.end, sent.end, received.completed), (Ok(()), Ok(()), 1));
    assert!(to.content("a").unwrap() == content);
    let came = came.lock().unwrap();
    let carried: usize = came.iter().filter(|(_, carried)| *carried).map(|(len, _)| len).sum();
    let through_memory: Vec<_> = came.iter().filter(|(_, carried)| !*carried).collect();
    // What came with the first frame's header, and the last frame, which is too short.
    assert!(through_memory.len() <= 2 && carried > content.len() - 200_000, "{came:?}");
}
