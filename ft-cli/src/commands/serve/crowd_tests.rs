//! Addresses, parties and patience, without a socket.

use super::*;

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn is_told(place: &Place) -> bool {
    !place.crowd.lock().guests.contains_key(&place.number)
}

fn sitting(crowd: &Arc<Crowd>, from: IpAddr, now: Instant) -> Place {
    let place = crowd.arrive(from, now).expect("it may come");
    place.sit(None, now).expect("there is room");
    place
}

#[tokio::test(start_paused = true)]
async fn oldest_stranger_of_the_address_with_most_of_them_gives_way() {
    let now = Instant::now();
    let crowd = Crowd::new(4, None);
    let good = crowd.arrive(address(1), now).unwrap();
    let mut flood = Vec::new();
    for n in 0..STRANGERS * 4 {
        // From this machine, where no rate bounds them.
        flood.push(crowd.arrive(HERE, now).unwrap());
        let told = flood.iter().filter(|place| is_told(place)).count();
        assert_eq!(told, (n + 2).saturating_sub(STRANGERS), "one goes for each that comes");
    }
    assert!(!is_told(&good), "whoever came alone stays");
    flood[0].gives_way().await;
    assert!(is_told(&flood[0]) && !is_told(flood.last().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn address_that_comes_too_often_is_heard_again_after_a_while() {
    let now = Instant::now();
    let crowd = Crowd::new(4, None);
    let come = |from, now| crowd.arrive(from, now).is_some();
    let heard = (0..1000).filter(|_| come(address(1), now)).count();
    assert_eq!(heard as f64, ARRIVALS_AT_ONCE);
    assert!(come(address(2), now), "another address is another matter");
    assert!((0..1000).all(|_| come(HERE, now)), "and so is this machine");
    let later = now + Duration::from_secs(1);
    let heard = (0..1000).filter(|_| come(address(1), later)).count();
    assert_eq!(heard as f64, ARRIVALS_PER_SECOND);
}

#[tokio::test(start_paused = true)]
async fn strangers_and_sessions_of_one_address_are_bounded() {
    let now = Instant::now();
    let crowd = Crowd::new(1000, None);
    let strangers: Vec<Place> = (0..100).map(|_| crowd.arrive(address(1), now).unwrap()).collect();
    assert_eq!(strangers.iter().filter(|place| !is_told(place)).count(), STRANGERS_EACH);
    drop(strangers);
    let all: Vec<Place> = (0..crate::limits::SESSIONS_EACH)
        .map(|n| {
            // Time passes, or the address would come too often.
            sitting(&crowd, address(1), now + Duration::from_secs(60 + n as u64))
        })
        .collect();
    let more = crowd.arrive(address(1), now + Duration::from_secs(200)).unwrap();
    assert_eq!(more.sit(None, now).unwrap_err(), "32 sessions of your address are open");
    drop(all);
    more.sit(None, now).unwrap();
    let own = Crowd::new(1000, Some(2));
    let _two = [sitting(&own, HERE, now), sitting(&own, HERE, now)];
    assert!(own.arrive(HERE, now).unwrap().sit(None, now).is_err(), "a bound that was asked for holds here, too");
}

#[tokio::test(start_paused = true)]
async fn session_that_moves_nothing_gives_way_to_whoever_has_fewer() {
    let begun = Instant::now();
    let crowd = Crowd::new(4, None);
    let idle: Vec<Place> = (0..3).map(|_| sitting(&crowd, address(1), begun)).collect();
    let busy = sitting(&crowd, address(2), begun);
    let newcomer = crowd.arrive(address(3), begun).unwrap();
    assert_eq!(newcomer.sit(None, begun).unwrap_err(), "4 sessions are open", "they have only begun");
    let now = begun + SLOW_TIME;
    busy.moved.store(1_000_000, Ordering::Relaxed);
    newcomer.sit(None, now).unwrap();
    assert_eq!(idle.iter().filter(|place| is_told(place)).count(), 1);
    assert!(!is_told(&busy));
    // The address that has most of them gets no further place by coming again.
    let again = crowd.arrive(address(1), now).unwrap();
    assert!(again.sit(None, now).is_err());
    assert!(again.sit(None, begun + SLOW_ALIKE).is_ok(), "but for one that has been idle for long");
}

#[tokio::test(start_paused = true)]
async fn networks_of_ipv6_count_as_one_and_mapped_addresses_as_what_they_are() {
    let parse = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(counted(parse("2001:db8:1:2:3:4:5:6")), counted(parse("2001:db8:1:2::1")));
    assert_ne!(counted(parse("2001:db8:1:2::1")), counted(parse("2001:db8:1:3::1")));
    assert_eq!(counted(parse("::ffff:192.0.2.1")), address(1));
    assert!(is_local(counted(parse("::1"))) && is_local(counted(parse("::ffff:127.0.0.1"))));
}
