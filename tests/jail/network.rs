//! Ports and addresses: a jail's are its own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::time::Instant;

use ft_cli::jail::{Jail, Status};
use rustix::net::{connect, sockopt};

use super::harness::{PATIENCE, both, contained, inline, plain, python, run, until_printed, wait};

/// Connects within the jail, once its program listens.
fn dial(jail: &Jail, to: SocketAddrV4) -> TcpStream {
    let end = Instant::now() + PATIENCE;
    loop {
        let socket = jail.socket().unwrap();
        // The loopback device answers before the call returns: refused, or made.
        rustix::io::ioctl_fionbio(&socket, false).unwrap();
        match connect(&socket, &to) {
            Ok(()) => return finish(socket.into()),
            Err(rustix::io::Errno::CONNREFUSED) if Instant::now() < end => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            Err(error) => panic!("{to}: {error}"),
        }
    }
}

fn finish(stream: TcpStream) -> TcpStream {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn accept(listener: &TcpListener) -> TcpStream {
    let end = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, _)) => return finish(stream),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock && Instant::now() < end => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            Err(e) => panic!("{e}"),
        }
    }
}

fn said(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn server_on_hard_coded_port_80_is_reached() {
    let Some(jail) = contained() else { return };
    for address in ["0.0.0.0", "127.0.0.1", "192.168.1.17", ""] {
        let mut server = jail.start(&python("serve_once.py", &[address, "80", "hello"])).unwrap();
        let to = if address.starts_with("192") { Ipv4Addr::new(192, 168, 1, 17) } else { Ipv4Addr::LOCALHOST };
        assert_eq!(said(dial(&jail, SocketAddrV4::new(to, 80))), "hello", "{address:?}");
        assert_eq!(wait(&mut server).status, Status::Code(0));
    }
}

#[test]
fn client_with_any_hard_coded_address_reaches_our_listener() {
    let Some(jail) = contained() else { return };
    let listener = jail.listener(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 9999)).unwrap();
    for address in ["127.0.0.1", "localhost", "192.168.1.17", "8.8.8.8", "10.1.2.3"] {
        let mut client = jail.start(&python("call.py", &[address, "9999"])).unwrap();
        let mut stream = accept(&listener);
        stream.write_all(b"welcome").unwrap();
        drop(stream);
        assert_eq!(wait(&mut client).status, Status::Code(0), "{address}: {:?}", client.output());
        assert_eq!(client.output().stdout, b"welcome\n");
    }
}

#[test]
fn own_host_name_leads_to_the_jail() {
    let Some(jail) = contained() else { return };
    let line = "import socket; print(socket.gethostname(), socket.gethostbyname(socket.gethostname()))";
    assert_eq!(run(&jail, &inline(line)).1.stdout, b"localhost 127.0.0.1\n");
}

#[test]
fn two_jails_use_the_same_port_at_once() {
    let (Some(one), Some(other)) = (contained(), contained()) else { return };
    let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5000);
    let _first = one.start(&python("serve_once.py", &["127.0.0.1", "5000", "one"])).unwrap();
    let _second = other.start(&python("serve_once.py", &["127.0.0.1", "5000", "other"])).unwrap();
    let (a, b) = (dial(&one, at), dial(&other, at));
    assert_eq!((said(a), said(b)), ("one".into(), "other".into()));
}

#[test]
fn machine_is_not_reached_from_a_jail() {
    let Some(jail) = contained() else { return };
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = outside.local_addr().unwrap().port().to_string();
    let (ended, output) = run(&jail, &python("call.py", &["127.0.0.1", &port]));
    assert_eq!(ended.status, Status::Code(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ConnectionRefused"), "{output:?}");
}

#[test]
fn without_namespaces_the_machines_ports_are_used() {
    let jail = plain();
    let mut server = jail.start(&python("serve_once.py", &["127.0.0.1", "0", "plain"])).unwrap();
    until_printed(&mut server, "\n");
    let port = String::from_utf8(server.output().stdout).unwrap().trim().parse().unwrap();
    assert_eq!(said(dial(&jail, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))), "plain");
    let listener = jail.listener(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut client = jail.start(&python("call.py", &["127.0.0.1", &port])).unwrap();
    accept(&listener).write_all(b"welcome").unwrap();
    assert_eq!(wait(&mut client).status, Status::Code(0));
}

#[test]
fn legs_do_not_block_and_do_not_leak_into_children() {
    for jail in both() {
        let listener = jail.listener(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        for fd in [jail.socket().unwrap(), jail.netlink().unwrap(), listener.into()] {
            assert!(rustix::io::fcntl_getfd(&fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
            assert!(rustix::fs::fcntl_getfl(&fd).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
        }
        assert_eq!(sockopt::socket_domain(jail.netlink().unwrap()).unwrap(), rustix::net::AddressFamily::NETLINK);
    }
}

#[test]
fn taken_port_is_an_error_and_the_jail_stays_good() {
    let Some(jail) = contained() else { return };
    let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7000);
    let _taken = jail.listener(at).unwrap();
    assert_eq!(jail.listener(at).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert!(jail.socket().is_ok());
}
