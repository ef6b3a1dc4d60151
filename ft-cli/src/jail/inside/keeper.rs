//! The keeper: makes a jail's namespaces and stays in them, to hand out sockets and to start guards.

use std::fs;
use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Stdio};

use nix::sched::CloneFlags;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, netlink, socket_with, sockopt};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::super::talk::{self, Answer, Ask, Failed, Setup};
use super::{Role, again, files, network, rights};
use crate::limits::BACKLOG;

/// Keeps a jail until the caller is gone. An error was told to it.
pub(super) fn keep(socket: BorrowedFd<'_>) -> Result<(), ()> {
    let Ok(Some((setup, _))) = talk::receive::<Setup>(socket) else { return Err(()) };
    let built = build(&setup);
    let failed = built.is_err();
    let answer = built.map_or_else(Answer::Failed, |()| Answer::Done);
    talk::send(socket, &answer, &[]).map_err(drop)?;
    if failed {
        return Err(());
    }
    let mut stages: Vec<(Child, OwnedFd)> = Vec::new();
    loop {
        // One that has ended is reaped at once, so that nothing of it is left to be seen.
        let mut waits = vec![PollFd::from_borrowed_fd(socket, PollFlags::IN)];
        waits.extend(stages.iter().map(|(_, handle)| PollFd::new(handle, PollFlags::IN)));
        match poll(&mut waits, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Err(()),
        }
        let asked = !waits[0].revents().is_empty();
        stages.retain_mut(|(stage, _)| matches!(stage.try_wait(), Ok(None)));
        if !asked {
            continue;
        }
        let Ok(Some((ask, beside))) = talk::receive::<Ask>(socket) else { return Ok(()) };
        let given = match ask {
            Ask::Socket => tcp().map(Some).map_err(Failed::at("making a socket")),
            Ask::Listener(at) => listener(at).map(Some).map_err(Failed::at(format!("listening on {at}"))),
            Ask::Netlink => diagnosis().map(Some).map_err(Failed::at("making a netlink socket")),
            Ask::Stage => stage(beside).map_err(Failed::at("starting a stage")).map(|stage| {
                stages.push(stage);
                None
            }),
        };
        let told = match given {
            Ok(Some(fd)) => talk::send(socket, &Answer::Done, &[fd.as_fd()]),
            Ok(None) => talk::send(socket, &Answer::Done, &[]),
            Err(failed) => talk::send(socket, &Answer::Failed(failed), &[]),
        };
        told.map_err(drop)?;
    }
}

fn build(setup: &Setup) -> Result<(), Failed> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let all = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    nix::sched::unshare(all).map_err(|e| Failed::at("making namespaces")(e.into()))?;
    // Without this the kernel takes no map of groups from somebody who is not root. It is older kernels' to not have it.
    match fs::write("/proc/self/setgroups", "deny") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Failed::at("giving up supplementary groups")(error));
        }
        Ok(()) | Err(_) => {}
    }
    // The caller's own numbers: a program must not believe that it is root when it is not.
    fs::write("/proc/self/uid_map", format!("{user} {user} 1")).map_err(Failed::at("mapping the user"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1")).map_err(Failed::at("mapping the group"))?;
    rustix::system::sethostname(b"localhost").map_err(|e| Failed::at("naming the host")(e.into()))?;
    network::bring_up()?;
    // No namespace within: whoever makes one has every right in it. A kernel without the knob has no such bound.
    let _ = fs::write("/proc/sys/user/max_user_namespaces", "0");
    files::confine(setup)?;
    rights::hand_down().map_err(Failed::at("handing rights down to a guard"))
}

fn tcp() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(ipproto::TCP))?)
}

fn listener(at: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = tcp()?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &at)?;
    listen(&socket, BACKLOG.cast_signed())?;
    Ok(socket)
}

fn diagnosis() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG))?)
}

fn stage(beside: Vec<OwnedFd>) -> io::Result<(Child, OwnedFd)> {
    let conversation = beside.into_iter().next().ok_or(io::ErrorKind::InvalidInput)?;
    let mut stage = again(Role::Stage, Stdio::from(conversation)).spawn()?;
    let handle = Pid::from_raw(stage.id().cast_signed())
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
    match handle {
        Ok(handle) => Ok((stage, handle)),
        Err(error) => {
            let _ = stage.kill();
            let _ = stage.wait();
            Err(error.into())
        }
    }
}
