//! A man in the middle who breaks connections on purpose.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// What happens to one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// It is passed on whole.
    Pass,
    /// After this many bytes from the client both sides lose it.
    CutAfter(u64),
    /// After this many bytes from the server both sides lose it.
    CutAnswersAfter(usize),
    /// After this many bytes from the client nothing of the server's reaches the client any more; when the server is done,
    /// the client loses the connection.
    SilenceAfter(u64),
}

/// Passes connections on to `port`; the first ones meet these fates, all later ones pass. Returns its own port.
pub(crate) fn start(port: u16, fates: Vec<Fate>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let own = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let mut fates = fates.into_iter();
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            let fate = fates.next().unwrap_or(Fate::Pass);
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
            pass(client, server, fate);
        }
    });
    own
}

fn pass(client: TcpStream, server: TcpStream, fate: Fate) {
    let from_client = Arc::new(AtomicU64::new(0));
    let (mut up_from, mut up_to) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
    let counted = Arc::clone(&from_client);
    thread::spawn(move || {
        let mut chunk = [0; 16 * 1024];
        while let Ok(n @ 1..) = up_from.read(&mut chunk) {
            let before = counted.fetch_add(n as u64, Ordering::SeqCst);
            let limit = if let Fate::CutAfter(limit) = fate { limit } else { u64::MAX };
            let take = usize::try_from(limit.saturating_sub(before)).map_or(n, |left| left.min(n));
            if up_to.write_all(&chunk[..take]).is_err() || take < n {
                let _ = up_to.shutdown(Shutdown::Both);
                let _ = up_from.shutdown(Shutdown::Both);
                return;
            }
        }
        let _ = up_to.shutdown(Shutdown::Write);
    });
    let (mut down_from, mut down_to) = (server, client);
    thread::spawn(move || {
        let mut chunk = [0; 16 * 1024];
        let mut left = if let Fate::CutAnswersAfter(limit) = fate { limit } else { usize::MAX };
        while let Ok(n @ 1..) = down_from.read(&mut chunk) {
            if n > left {
                let _ = down_from.shutdown(Shutdown::Both);
                break;
            }
            left = left.saturating_sub(n);
            let silent = matches!(fate, Fate::SilenceAfter(limit) if from_client.load(Ordering::SeqCst) >= limit);
            if !silent && down_to.write_all(&chunk[..n]).is_err() {
                break;
            }
        }
        let _ = down_to.shutdown(Shutdown::Both);
    });
}
