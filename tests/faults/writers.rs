//! Two senders write the same name at the same time, to one server and to two servers of the same folder.

use std::fs;

use crate::ground::leftovers;
use crate::support::{Running, Server, content, events, folder, ft_cli};

const ROUNDS: usize = 6;

#[test]
fn two_writers_of_one_name_leave_the_whole_of_one_and_neither_is_told_a_lie() {
    for servers in [1, 2] {
        let (mut both, mut busy) = (0, 0);
        for round in 0..ROUNDS {
            let (here, there) = (folder(), folder());
            // A resumable size, and one that is not.
            let size = if round % 2 == 0 { (1 << 20) + 999 } else { 100_000 };
            let contents = [content(size, 1), content(size, 2)];
            let running: Vec<Server> = (0..servers).map(|_| Server::start(there.path(), ["--json"])).collect();
            let puts = [0, 1].map(|n| {
                let at = here.path().join(n.to_string());
                fs::create_dir(&at).expect("made");
                fs::write(at.join("name"), &contents[n]).expect("written");
                let mut put = ft_cli(["put", "--json", "--retries", "0", "--compare", "none"]);
                Running::start(put.arg(at.join("name")).arg(&running[n % servers].address))
            });
            let ended = puts.map(Running::finish);
            let found = fs::read(there.path().join("name")).expect("at least one is stored");
            let winner = contents.iter().position(|content| *content == found);
            let winner = winner.expect("the whole of one, nothing of both");
            assert_eq!(ended[winner].code(), Some(0), "whose content is there was told so");
            let other = &ended[1 - winner];
            match other.code() {
                // It was there before the winner came.
                Some(0) => both += 1,
                Some(4) => {
                    let failed = events(&other.out, "failed");
                    assert_eq!(failed[0]["code"], "name-busy", "{failed:?}");
                    busy += 1;
                }
                code => panic!("{code:?}: {}", other.text()),
            }
            for server in running {
                server.stop().expect(0);
            }
            assert_eq!(leftovers(there.path()), Vec::<String>::new());
        }
        println!(
            "{servers} servers: {both} rounds one after the other, {busy} in which one was told that the name is busy"
        );
    }
}
