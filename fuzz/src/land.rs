//! A storage as the contract allows it (`ft_core::storage`): any order across streams, any failure; and what the receiver's
//! machine must have seen before it may say anything about a stream.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Result, Unstructured};
use ft_core::error::{Code, FileError, Retry};
use ft_core::event::Event;
use ft_core::frame::{Ack2, Compare, Frame, Level, Offer, StreamId, Verdict};
use ft_core::hash::{Root, Subtree, decompose, statable};
use ft_core::storage::{LandDone, LandOp, Prepared, Step, level_for};

use super::wire::number;

/// Operations among which the input may choose the next to complete.
pub(crate) const AT_HAND: usize = 32;

/// One stream, as an observer sees it.
#[derive(Default)]
pub(crate) struct Stream {
    offer: Option<Offer>,
    prepared: Option<Prepared>,
    acked: bool,
    /// Where its content stands; `None` before the first write.
    position: Option<u64>,
    /// END: size and root.
    pub(crate) stated: Option<(u64, Root)>,
    finished: Option<Root>,
    broken: bool,
    committed: bool,
    landed: Option<Ack2>,
    gone: bool,
    /// How it ended, for the observer: exactly once.
    ended: Option<&'static str>,
}

/// The storage and the observer.
#[derive(Default)]
pub(crate) struct Land {
    pub(crate) streams: BTreeMap<StreamId, Stream>,
    pending: Vec<LandOp>,
    refused: BTreeSet<StreamId>,
    said_goodbye: bool,
    shut: bool,
}

impl Land {
    /// Where the content of a stream stands.
    pub(crate) fn position(&self, id: StreamId) -> u64 {
        self.streams.get(&id).and_then(|s| s.position).unwrap_or(0)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// The machine wants an operation done.
    pub(crate) fn submit(&mut self, op: LandOp) {
        match &op {
            LandOp::Prepare(id, offer) => {
                let new = Stream { offer: Some(offer.clone()), ..Stream::default() };
                assert!(self.streams.insert(*id, new).is_none(), "stream {id} is prepared once");
            }
            LandOp::Write { stream, offset, len } | LandOp::Hole { stream, offset, len } => {
                let s = self.live(*stream);
                let begins = match &s.prepared {
                    Some(Prepared::Partial { len, .. }) => {
                        let ends = decompose(*len).scan(0, |sum, n| {
                            *sum += n;
                            Some(*sum)
                        });
                        *offset == 0 || ends.into_iter().any(|end| end == *offset)
                    }
                    Some(_) => *offset == 0,
                    None => panic!("ORDER: content of stream {stream} before ACK1"),
                };
                assert!(s.position.map_or(begins, |at| at == *offset), "contiguous, from a boundary on");
                assert!(s.acked && s.stated.is_none(), "ORDER: content between ACK1 and END");
                let end = offset + len;
                let size = s.offer.as_ref().and_then(|offer| offer.meta.size);
                assert!(size.is_none_or(|size| end <= size), "never past the size that was offered");
                s.position = Some(end);
            }
            LandOp::Finish(id, size) => {
                let s = self.live(*id);
                assert_eq!(s.position.unwrap_or(0), *size, "all of it is there");
            }
            LandOp::Commit(group) => {
                for id in group {
                    let s = self.live(*id);
                    assert!(!s.committed && s.is_verified(), "HONEST: stream {id} lands without having been verified");
                    s.committed = true;
                }
            }
            LandOp::Discard(id, _) => {
                let s = self.live(*id);
                assert!(s.landed.is_none(), "what has landed stays");
                s.gone = true;
            }
        }
        self.pending.push(op);
    }

    fn live(&mut self, id: StreamId) -> &mut Stream {
        let s = self.streams.get_mut(&id).expect("only of streams that were prepared");
        assert!(!s.gone, "nothing of stream {id} after its Discard");
        s
    }

    /// Completes one operation, as the input says which and how; `None` when none is under way.
    pub(crate) fn complete(&mut self, u: &mut Unstructured<'_>) -> Result<Vec<LandDone>> {
        let ready = self.ready();
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        let at = ready[usize::from(u.arbitrary::<u8>()?) % ready.len()];
        let op = self.pending.remove(at);
        let how: u8 = u.arbitrary()?;
        let failed = |id, len| LandDone::Failed(id, len, FileError::new(Code::Io, Retry::Later, "disk"));
        Ok(match op {
            LandOp::Prepare(id, offer) => {
                let s = self.streams.get_mut(&id).expect("it was prepared");
                if how == 7 {
                    s.gone = true;
                    return Ok(vec![failed(id, 0)]);
                }
                let prepared = prepare(&offer, how, u)?;
                s.gone = matches!(prepared, Prepared::Refused(_));
                s.prepared = Some(prepared.clone());
                vec![LandDone::Prepared(id, prepared)]
            }
            LandOp::Write { stream, len, .. } | LandOp::Hole { stream, len, .. } => {
                let s = self.streams.get_mut(&stream).expect("it was prepared");
                s.broken |= how == 7;
                vec![if s.broken { failed(stream, len) } else { LandDone::Wrote(stream, len) }]
            }
            LandOp::Finish(id, _) => {
                let s = self.streams.get_mut(&id).expect("it was prepared");
                s.broken |= how == 7;
                if s.broken {
                    return Ok(vec![failed(id, 0)]);
                }
                let stated = s.stated.map_or(Root::default(), |(_, root)| root);
                let root = if how == 6 { Root([!stated.0[0]; 32]) } else { stated };
                s.finished = Some(root);
                vec![LandDone::Finished(id, root)]
            }
            LandOp::Commit(group) => {
                let mut done = Vec::new();
                for (nth, id) in group.into_iter().enumerate() {
                    let s = self.streams.get_mut(&id).expect("it was prepared");
                    s.broken |= how == 7 || (how & 8 != 0 && nth % 2 == 1);
                    if s.broken {
                        done.push(failed(id, 0));
                        continue;
                    }
                    done.extend([Step::Synced, Step::Renamed, Step::DirSynced].map(|step| LandDone::Step(id, step)));
                    let ack = s.ack();
                    s.landed = Some(ack.clone());
                    done.push(LandDone::Landed(id, ack));
                }
                done
            }
            LandOp::Discard(id, _) => vec![LandDone::Discarded(id)],
        })
    }

    /// Those of the oldest operations that may complete now: of one stream, in order.
    fn ready(&self) -> Vec<usize> {
        let mut busy: BTreeSet<StreamId> = BTreeSet::new();
        let mut ready = Vec::new();
        for (at, op) in self.pending.iter().enumerate().take(AT_HAND) {
            let streams = match op {
                LandOp::Commit(group) => group.as_slice(),
                LandOp::Prepare(id, _) | LandOp::Finish(id, _) | LandOp::Discard(id, _) => std::slice::from_ref(id),
                LandOp::Write { stream, .. } | LandOp::Hole { stream, .. } => std::slice::from_ref(stream),
            };
            if streams.iter().all(|id| !busy.contains(id)) {
                ready.push(at);
            }
            busy.extend(streams.iter().copied());
        }
        ready
    }

    /// The machine sends a frame.
    pub(crate) fn sent(&mut self, frame: &Frame) {
        assert!(!self.said_goodbye && !self.shut, "nothing follows GOODBYE: {frame:?}");
        match frame {
            Frame::Ack1(id, offset, verdict) => {
                let Some(s) = self.streams.get_mut(id) else {
                    // A name that cannot be stored is refused without asking anybody.
                    assert!(
                        matches!(verdict, Verdict::Refused(e) if e.code == Code::BadName) && self.refused.insert(*id)
                    );
                    return;
                };
                assert!(!std::mem::replace(&mut s.acked, true), "one ACK1 for stream {id}");
                let agrees = match (&s.prepared, verdict) {
                    (Some(Prepared::Fresh), Verdict::Send) => *offset == 0,
                    (Some(Prepared::Partial { len, subtrees }), Verdict::Resume(told)) => {
                        len == offset && subtrees == told
                    }
                    (Some(Prepared::SameMeta), Verdict::SameMeta) => true,
                    (Some(Prepared::SameContent(root)), Verdict::SameContent(told)) => root == told,
                    (Some(Prepared::Refused(_)) | None, Verdict::Refused(_)) => true,
                    _ => false,
                };
                assert!(agrees, "ACK1 of stream {id} is what the storage said, not {verdict:?}");
            }
            Frame::Ack2(id, ack) => {
                let landed = self.streams.get(id).and_then(|s| s.landed.as_ref());
                assert_eq!(landed, Some(ack), "HONEST: ACK2 of stream {id}");
            }
            Frame::Goodbye => self.said_goodbye = true,
            _ => {}
        }
    }

    pub(crate) fn shut(&mut self) {
        assert!(!std::mem::replace(&mut self.shut, true), "one end");
    }

    /// The machine tells an observer.
    pub(crate) fn told(&mut self, event: &Event) {
        let (id, how) = match event {
            Event::Stored(id, ack) => {
                let landed = self.streams.get(id).and_then(|s| s.landed.as_ref());
                assert_eq!(landed, Some(ack), "HONEST: stream {id} is called stored");
                (*id, "stored")
            }
            Event::Failed(id, _) => (*id, "failed"),
            Event::Verified(id) => {
                assert!(
                    self.streams.get(id).is_some_and(Stream::is_verified),
                    "HONEST: stream {id} is called verified"
                );
                return;
            }
            _ => return,
        };
        if let Some(s) = self.streams.get_mut(&id) {
            assert_eq!(s.ended.replace(how), None, "stream {id} ends once, now {how}");
        }
    }

    /// The session is over and nothing is under way: every stream has come to something.
    pub(crate) fn settled(&self, completed: u64) {
        assert!(self.is_idle());
        let stored = self.streams.values().filter(|s| s.ended == Some("stored")).count();
        assert_eq!(stored as u64, completed, "the report counts what was stored");
        for (id, s) in &self.streams {
            assert!(s.ended.is_some(), "stream {id} came to nothing");
            assert!(s.ended != Some("failed") || s.landed.is_none(), "stream {id} has landed and is called failed");
        }
    }
}

impl Stream {
    fn is_verified(&self) -> bool {
        let size = self.offer.as_ref().and_then(|offer| offer.meta.size);
        match (&self.prepared, self.position, self.stated) {
            // What a peer says to it afterwards was refused.
            (Some(Prepared::SameMeta), None, _) => true,
            (Some(Prepared::SameContent(root)), None, Some(stated))
                if size.map(|size| (size, *root)) == Some(stated) =>
            {
                true
            }
            (_, position, Some((size, root))) => self.finished == Some(root) && position.unwrap_or(0) == size,
            _ => false,
        }
    }

    fn ack(&self) -> Ack2 {
        let offer = self.offer.as_ref().expect("it was offered");
        let same = (offer.meta.size.unwrap_or(0), Root::default());
        let stated = self.stated.filter(|_| !matches!(self.prepared, Some(Prepared::SameMeta)));
        let (size, root) = stated.unwrap_or(same);
        Ack2 { size, root, level: level_for(offer, Level::Cached), path: offer.meta.path.clone() }
    }
}

/// What a storage may find for an offer.
fn prepare(offer: &Offer, how: u8, u: &mut Unstructured<'_>) -> Result<Prepared> {
    Ok(match (how, offer.meta.size) {
        (1, Some(size)) => {
            let len = statable(number(u)? << 20, size);
            let stated = decompose(len).map(|n| Subtree([n.to_be_bytes()[4]; 32]));
            let subtrees: Vec<_> = if u.arbitrary()? { stated.collect() } else { Vec::new() };
            if len == 0 { Prepared::Fresh } else { Prepared::Partial { len, subtrees } }
        }
        (2, Some(_)) if offer.compare == Compare::Quick && offer.meta.mtime.is_some() => Prepared::SameMeta,
        (3, Some(_)) if offer.compare == Compare::Content => Prepared::SameContent(Root([3; 32])),
        (4, _) => Prepared::Refused(FileError::new(Code::Exists, Retry::Never, "")),
        _ => Prepared::Fresh,
    })
}
