//! Which sessions other connections may join, and by which tokens (PROTOCOL §7.8).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ft_core::join::{Lane, TOKEN_LEN, Token};
use ft_core::limits::MAX_JOINED;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::mpsc::UnboundedSender;

use crate::carry::Lanes;
use crate::trust::{Conn, Fingerprint};

/// Whose session it is: a key, or on a plain connection an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
    Key(Fingerprint),
    Address(IpAddr),
}

impl Party {
    pub(super) fn new(key: Option<Fingerprint>, address: IpAddr) -> Self {
        key.map_or(Self::Address(address.to_canonical()), Self::Key)
    }
}

/// The open tokens of all sessions: each is good once, and no longer than its session.
#[derive(Debug, Default)]
pub(super) struct Joins(Mutex<Tokens>);

/// Whose session each is for, and where it hears of who has joined.
type Tokens = BTreeMap<Token, (Party, UnboundedSender<Lane<Conn>>)>;

/// What one session gives out.
pub(super) struct Offer {
    pub(super) tokens: Vec<Token>,
    pub(super) lanes: Lanes,
    pub(super) open: Open,
}

/// Tokens that are good for as long as this lives.
pub(super) struct Open {
    joins: Arc<Joins>,
    tokens: Vec<Token>,
}

impl Joins {
    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tokens for one session; `None` if the system has no random numbers.
    pub(super) fn offer(self: &Arc<Self>, party: Party) -> Option<Offer> {
        let random = SystemRandom::new();
        let (sender, lanes) = Lanes::new();
        let mut tokens = Vec::new();
        for _ in 0..MAX_JOINED {
            let mut token = [0; TOKEN_LEN];
            random.fill(&mut token).ok()?;
            tokens.push(Token(token));
        }
        self.lock().extend(tokens.iter().map(|token| (*token, (party, sender.clone()))));
        let open = Open { joins: Arc::clone(self), tokens: tokens.clone() };
        Some(Offer { tokens, lanes, open })
    }

    /// The session that a token is for. It is used up, whoever shows it: who has it and is somebody else has stolen it.
    pub(super) fn claim(&self, token: Token, party: Party) -> Option<UnboundedSender<Lane<Conn>>> {
        let (whose, lanes) = self.lock().remove(&token)?;
        (whose == party).then_some(lanes)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.joins.lock();
        self.tokens.iter().for_each(|token| drop(open.remove(token)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Party = Party::Address(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    const THERE: Party = Party::Address(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    #[test]
    fn token_is_good_once_for_the_one_whose_session_it_is_and_no_longer_than_that() {
        let joins = Arc::new(Joins::default());
        let offer = joins.offer(HERE).expect("random numbers");
        let [first, second, third, ..] = offer.tokens[..] else { panic!("several tokens") };
        assert!(joins.claim(first, HERE).is_some());
        assert!(joins.claim(first, HERE).is_none(), "a second time");
        assert!(joins.claim(second, THERE).is_none(), "somebody else");
        assert!(joins.claim(second, HERE).is_none(), "whom somebody else has shown");
        drop(offer);
        assert!(joins.claim(third, HERE).is_none(), "the session is over");
        assert!(joins.lock().is_empty());
    }

    #[test]
    fn no_two_tokens_are_alike_and_none_is_shown() {
        let joins = Arc::new(Joins::default());
        let offers: Vec<Offer> = (0..100).map(|_| joins.offer(HERE).expect("random numbers")).collect();
        assert_eq!(joins.lock().len(), 100 * usize::from(MAX_JOINED));
        assert_eq!(format!("{:?}", offers[0].tokens[0]), "Token(..)");
    }
}
