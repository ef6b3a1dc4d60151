//! Every bound and default of the command line, in one place, each with its unit and its reason.

use std::time::Duration;

/// Port that both labs' texts and this program use when none is given.
pub const DEFAULT_PORT: u16 = 65432;

/// Watchers of a server's numbers that are answered at a time; there is seldom more than one.
pub const WATCHERS: usize = 16;

/// Time for one of them, from the first byte to the last.
pub const WATCHER_TIME: Duration = Duration::from_secs(10);

/// Sessions at once of a sender who knew the code: the one that it has, and those that it left for dead and that have not
/// noticed yet.
pub const PAIRED_SESSIONS: u32 = 8;

/// Time for a sender who knew the code to begin, or to come back after its connection broke.
pub const PAIRED_PATIENCE: Duration = Duration::from_secs(60);

/// Silence of a peer, in both directions, after which a connection is given up. Six times the pulse: one lost and a few
/// late ALIVE frames do not end a session.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Time between two signs of life while a side works without sending (PROTOCOL, ALIVE).
pub const PULSE: Duration = Duration::from_secs(10);

/// Time for name resolution and for a connection to be made, over all addresses of a host.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Head start of one address before the next is tried beside it (RFC 8305 §5).
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Round trips below which a path is as good as none: one room, one switch, another process.
pub const SHORT_RTT: Duration = Duration::from_millis(1);

/// Round trips from which the recovery of a loss is felt: congestion controls that yield to it take tens of them.
pub const LONG_RTT: Duration = Duration::from_millis(5);

/// Speed of a path that a send buffer is made for, bytes a second: 2 Gbit/s. What is faster and long is rare.
pub const PATH_RATE: u64 = 250_000_000;

/// Bytes that a queue on a path may hold: what stands there is under way, too, however short the path is.
pub const QUEUE_BYTES: u64 = 16 * 1024 * 1024;

/// Largest send buffer that is asked for, bytes as the kernel counts them: 2 Gbit/s over 100 ms. It is memory of the kernel, and
/// only that is taken which is under way or waits.
pub const SEND_BUFFER_MAX: usize = 64 * 1024 * 1024;

/// Bytes in a long path's send buffer that may wait for being sent, at least: what a program writes at once, and a little more.
pub const UNSENT: u32 = 2 * 1024 * 1024;

/// One part in so many of what the path delivers in a second may wait for being sent, if that is more: what may
/// go at once when a hole is filled. Where a program leaves the buffer empty then, however shortly, `bbr` takes what the
/// path delivers for what the program writes, and goes on at three times the speed of the link.
pub const UNSENT_PART: u64 = 8;

/// By one part in so many what a path is thought to deliver falls from look to look if nothing confirms it: half in a second.
pub const RATE_FADES: u64 = 16;

/// Bytes that may wait for being sent, at most: a gigabit for an eighth of a second.
pub const UNSENT_MOST: u32 = 16 * 1024 * 1024;

/// Segments sent again before a path is said to lose: fewer are chance.
pub const LOSS_SEGMENTS: u32 = 8;

/// One segment of so many sent again is loss; less is a queue that was full once, which cubic and reno live with.
pub const LOSS_SHARE: u64 = 5_000;

/// Bytes in the send buffer of each of several connections of one session that may wait for being sent: what one holds back, all
/// wait for at the other end.
pub const UNSENT_EACH: u32 = 256 * 1024;

/// Round trips for which a connection must have had something under way before it is told what holds it back: what is not
/// over by then is no small file.
pub const ROOMY_TRIPS: u32 = 5;

/// Segments sent again before other connections are made for it: they cost little, and are the more use the earlier they come.
pub const ROOMY_LOSSES: u32 = 3;

/// Round trips for which losses behind a queue are still laid to it: they are sent again over some of them.
pub const QUEUE_TRIPS: u32 = 3;

/// Round trips longer by one part in so many than the shortest are a queue, and the link is what is full.
pub const QUEUE_SHARE: u32 = 4;

/// One segment in so many sent again between two looks is a queue that overflows: no path in use loses that much by itself.
pub const OVERFLOW_SHARE: u64 = 10;

/// A send buffer that was full for one part of the time in so many is what holds a connection back.
pub const LIMITED_SHARE: u32 = 3;

/// Connections that carry the content of one session where one is held back: three more gained all that there was to gain.
pub const STREAMS_AUTO: u8 = 4;

/// Time between two looks at the path of a connection: several within the round trips that a change needs to be felt.
pub const PATH_LOOK: Duration = Duration::from_millis(100);

/// Speed of a path, bytes a second, below which content is worth compressing unasked: a third of what zstd's fastest
/// level takes in on one core, so that compression is never what slows a transfer.
pub const COMPRESS_BELOW: u64 = 100_000_000;

/// A window that was full for one part of the time in so many is what limited a connection.
pub const UNREAD_SHARE: u32 = 4;

/// Share of the time, in percent, for which some program waits for a core from which on the machine is what is slow, and
/// nothing is compressed unasked. A transfer alone on two cores has a third of it.
pub const BUSY_SHARE: u64 = 80;

/// Least `--rate`, bytes a second: a header takes some hundredths of a second, and no peer's patience is tried.
pub const RATE_MIN: u64 = 1_000;

/// Bytes that may go at once under `--rate`, as time at that rate: so fine that nobody sees steps, so long that timers of
/// a millisecond lose nothing.
pub const RATE_SLICE: Duration = Duration::from_millis(10);

/// The same, bytes, at most and at least: a write of more is not faster, one of less costs more than it carries.
pub const RATE_SLICE_BYTES: std::ops::RangeInclusive<u64> = 512..=256 * 1024;

/// Time at the rate that may be made good after a stall or a late timer.
pub const RATE_CREDIT: Duration = Duration::from_millis(50);

/// Time for a client to say what it wants: a stranger who says nothing must not hold a slot for longer.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Silence after which the first bytes of a connection are taken for all that a lab program sends before it waits.
pub const QUIET: Duration = Duration::from_millis(250);

/// First bytes read to tell dialects apart. An ft/1 preamble has 16; the labs' texts are told by fewer.
pub const HEAD_MAX: usize = 1024;

/// Attempts after the first when a session ended with an error that another connection may cure.
pub const RETRIES: u32 = 5;

/// Wait before the first retry; each later one waits twice as long, up to [`BACKOFF_MAX`].
pub const BACKOFF_FIRST: Duration = Duration::from_millis(250);

/// Longest wait between two retries: what a person endures without thinking that the program hangs.
pub const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// Connections that one `put` or `get` may open side by side. More share the same disk and link and only add work.
pub const JOBS_MAX: u16 = 16;

/// Connections served at once by default. Measured at their worst each has 14 MiB with as many small files open as may be, and 28 with
/// paths of 128 components: 2 GiB for all of them, which is what the unit file allows.
pub const CONNECTIONS: usize = 64;

/// Sessions of one address of another machine: all connections of two clients at [`JOBS_MAX`], and half of the places.
pub const SESSIONS_EACH: usize = 32;

/// Connections that have not said yet what they want: some tens of KiB each, so they stay below 16 MiB. When there are
/// more, the oldest of the address that has most of them is closed.
pub const STRANGERS: usize = 256;

/// Those of one address of another machine.
pub const STRANGERS_EACH: usize = 64;

/// New connections of one address of another machine that are heard in a row, and each second from then on: a script that
/// sends file by file is slower, whoever only knocks is faster. The others are closed without a word.
pub const ARRIVALS_AT_ONCE: f64 = 128.0;

/// See [`ARRIVALS_AT_ONCE`].
pub const ARRIVALS_PER_SECOND: f64 = 16.0;

/// Addresses whose arrivals are counted: some 100 bytes each.
pub const ADDRESSES: usize = 4096;

/// Bytes a second below which a session moves next to nothing: half of the least `--rate`.
pub const SLOW_RATE: f64 = 512.0;

/// Time for which it must, to give way to a client that has fewer sessions. Shorter than a client goes on trying.
pub const SLOW_TIME: Duration = Duration::from_secs(5);

/// The same to give way to anybody: what is hashed or synced meanwhile takes seconds.
pub const SLOW_ALIKE: Duration = Duration::from_secs(20);

/// Time for telling one client that the server is busy.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Least time between two lines about connections that come too often: whoever connects in a loop must not fill a log.
pub const CROWD_LINE: Duration = Duration::from_secs(10);

/// Connections that the system queues for a listener.
pub const BACKLOG: u32 = 1024;

/// Wait after a failed accept (no more descriptors, mostly): long enough not to spin, short enough not to be noticed.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Time that running transfers get after the first SIGINT or SIGTERM.
pub const GRACE: Duration = Duration::from_secs(30);

/// Least time between two progress events of a `--json` stream: four a second are enough for any display.
pub const JSON_PROGRESS: Duration = Duration::from_millis(250);

/// Least time between two changes of a progress bar's text, for sessions of thousands of small files.
pub const BAR_TEXT: Duration = Duration::from_millis(50);

/// Files of a server's session that are remembered as worth another try: only its last line counts them.
pub const OPEN_SERVED: usize = 256;

/// The same of who fetches or receives and tries again: what two sessions may have left, each with as many streams as may be open.
pub const OPEN_FETCHED: usize = 2 * ft_core::limits::MAX_STREAMS as usize;

/// Paths that a client keeps in memory as done, for retries. Beyond that a retry offers them again, and the receiver
/// says that it has them: more traffic, same result. 16 bytes each, in a table of 2 MiB.
pub const REMEMBERED: usize = 100_000;

/// Silence after which a lab's text without a terminator is taken as whole. Every such text costs this once.
pub const LAB_TEXT_END: Duration = Duration::from_millis(200);

/// Silence after which lab data without a length is taken as whole: a guess, so longer.
pub const LAB_DATA_END: Duration = Duration::from_secs(1);

/// Pause between two lab messages that a naive peer must not read in one.
pub const LAB_SEPARATE: Duration = Duration::from_millis(300);

/// Time for a lab peer to close after us.
pub const LAB_CLOSE: Duration = Duration::from_secs(2);

/// Largest file that a naive lab program is imitated with, bytes: it holds the whole file in memory, as the listing does.
pub const NAIVE_MAX: u64 = 64 * 1024 * 1024;

/// Unfinished files of a broken session that are named one by one: a screen holds them, a tree of thousands would not fit.
pub const LEFTOVERS_SHOWN: usize = 10;

/// Random schedules that `sim explore` tries for each case unless told otherwise: less work than the exhaustive search
/// before it, and enough to reach what two or more faults do together.
pub const SIM_RUNS: u64 = 1_000;

/// Bytes that a case may move, both directions together, to have every single deviation tried unasked. The number of
/// runs grows with them, and so does each run: cases below take seconds, 64 KiB would not end while someone waits.
pub const SIM_EXHAUSTIVE_BYTES: u64 = 8 * 1024;

/// Between two lines about a long search, where they go to a log.
pub const SIM_LOG_EVERY: Duration = Duration::from_secs(30);

/// Random schedules that a lesson tries to find a counterexample: found within a few hundred, less than a second without
/// optimisation.
pub const DEMO_SEARCH_RUNS: u64 = 2_000;

/// The first seed of a lesson's random schedules.
pub const DEMO_SEED: u64 = 1;

/// Time for one small transfer of a lesson over loopback; it takes less than a millisecond.
pub const DEMO_TRANSFER_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest silence within a measured round of write, write, read; the longest delayed ACK is half a second (RFC 1122
/// §4.2.3.2).
pub const DEMO_TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// Scenarios that `sim run --world tcp` plays at a time: a thread and a few sockets each, nearly all of it waiting.
pub const SIM_AT_ONCE: usize = 100;

/// Time between the beginnings of two of them. Begun all at once they starve each other for tenths of a second, in which
/// the pauses that end the labs' bare texts are no pauses any more.
pub const SIM_STAGGER: Duration = Duration::from_millis(25);

/// Most of a scenario's file that is read, bytes. The simulator takes less, and says so.
pub const SCENARIO_FILE: u64 = 1024 * 1024;

/// Moments of one timeline that a page holds. More cannot be stepped through by anyone, and the page must stay small.
pub const PAGE_MOMENTS: usize = 1_500;

/// Bytes of one direction whose values a page holds: what is shown of a larger file are ranges.
pub const PAGE_BYTES: usize = 1024;

/// Time between two looks at what a reader has read: a few hops of loopback, and the finest that timers give.
pub const GATE_LOOK: Duration = Duration::from_millis(1);

/// Time for a reader to read what was sent to it before the rest is sent all the same. Longer than any pause that a
/// program of a lab makes before it reads; one that never reads must not hold up a schedule for ever.
pub const GATE_PATIENCE: Duration = Duration::from_secs(3);

/// The pause that stands for a boundary where the reader's kernel cannot be asked.
pub const GATE_GUESS: Duration = Duration::from_millis(100);

/// Bytes that a grader's own peer reads at once.
pub const GRADE_READ: usize = 64 * 1024;

/// Largest content, bytes, of which every piece is passed on only when the one before it was read: each costs a look or two.
pub const GRADE_PRESERVED: usize = 64 * 1024;

/// Time for a graded server to listen, and for a graded client to connect: a slow start is no fault.
pub const GRADE_START: Duration = Duration::from_secs(10);

/// Silence on a connection after which a graded program that has something to do is stuck.
pub const GRADE_STUCK: Duration = Duration::from_secs(2);

/// Silence that a graded program may keep when the other side is silent; after it, it waits for ever.
pub const GRADE_PATIENCE: Duration = Duration::from_secs(4);

/// Time for a program to end, or to finish its file, when its connection has ended.
pub const GRADE_AFTER: Duration = Duration::from_secs(2);

/// Time between two looks at a program.
pub const GRADE_LOOK: Duration = Duration::from_millis(2);

/// Longest run of all, whatever happens in it.
pub const GRADE_RUN: Duration = Duration::from_secs(30);

/// Programs of a grade that run side by side: most of the time is waiting for those that are stuck.
pub const GRADE_WORKERS: usize = 6;

/// Runs that have to fall before a pitfall is a failure: once may be the machine.
pub const GRADE_REPEATS: u32 = 3;

/// Times that what fell once is run again to fall so often.
pub const GRADE_CHANCES: u32 = 7;

/// Times that the plain transfer is tried before a program is said not to work.
pub const GRADE_CONTROLS: usize = 2;

/// Largest config of a lab, bytes: it is written by hand.
pub const GRADE_CONFIG: u64 = 64 * 1024;

/// Time between two interruptions of a program that sends, and how long each lasts.
pub const GRADE_PULSE: [Duration; 2] = [Duration::from_millis(15), Duration::from_millis(5)];

/// A wait for an acknowledgement that is felt: delayed ones take 40 ms on Linux, a hop of loopback far less than one.
pub const GRADE_STALL: Duration = Duration::from_millis(25);

/// Bytes of what a program printed in a run that a report shows.
pub const GRADE_SAID: usize = 600;

/// Lines of a run's lanes that a report shows: with the words about it, a screen.
pub const REPORT_LANES: usize = 24;

/// Last lines of what a program printed that a report shows: a traceback's end.
pub const REPORT_PRINTED: usize = 6;

/// Bytes of what a program printed that are looked at for them: a line without an end must not fill a report.
pub const REPORT_PRINTED_BYTES: usize = 2 * 1024;

/// Events of one run that a report for programs holds: far more than a small transfer has.
pub const REPORT_EVENTS: usize = 400;

/// Payload of one event that it holds, bytes; of a longer one it says the length.
pub const REPORT_PAYLOAD: usize = 2 * 1024;

/// Moments of one run that a grade's page holds: it has up to forty runs, and must stay small.
pub const REPORT_MOMENTS: usize = 90;

/// What a proxy's recording keeps, bytes; a stream is in it twice, as it came and as it was passed on. What is beyond is
/// passed on and counted.
pub const RECORD_BYTES: u64 = 16 * 1024 * 1024;

/// What an event of a recording takes besides its payload, bytes: single bytes must not fill the memory either.
pub const RECORD_EVENT: u64 = 128;

/// Most that is on its way along a slowed path, bytes: 100 ms of 1 Gbit/s, and some.
pub const PACE_BUFFER: usize = 16 * 1024 * 1024;

/// Pieces on their way along a slowed path: single bytes cost some sixty each.
pub const PACE_PIECES: usize = 64 * 1024;

/// Bytes put on a slowed path at a time: a few segments, so that a low rate is smooth.
pub const PACE_CHUNK: usize = 4 * 1024;

/// Longest latency of a slowed path: to the moon and back takes three seconds.
pub const PACE_LATENCY: Duration = Duration::from_secs(60);

/// Silence after which a proxy closes a connection: longer than any program's own patience.
pub const PROXY_IDLE: Duration = Duration::from_secs(300);

/// Queue of the router before a slowed path, as time at its rate: a usual one, which makes nobody wait for seconds.
pub const PACE_QUEUE: Duration = Duration::from_millis(50);

/// Time for the disk's threads to finish what they hold when a command ends: a sync that is under way may take seconds.
pub const SETTLE: Duration = Duration::from_secs(10);

/// Memory of a contained program and all its children together, bytes: what a runtime with a virtual machine needs to
/// start, and far less than would hurt the machine.
pub const JAIL_MEMORY: u64 = 512 * 1024 * 1024;

/// Bytes kept of a contained program's standard output, and as many of its errors: nobody reads more.
pub const JAIL_OUTPUT: u64 = 256 * 1024;

/// Processes of a contained program: one for each client of a forking server, and room for a shell or two.
pub const JAIL_PROCESSES: u32 = 64;

/// Largest file that a contained program may write, bytes.
pub const JAIL_FILE: u64 = 256 * 1024 * 1024;

/// Threads of a contained program beyond its processes. Only a brake between two looks at how many processes there are.
pub const JAIL_THREADS: u64 = 1024;

/// Descriptors that one process of a contained program may hold: the usual default of a shell.
pub const JAIL_DESCRIPTORS: u64 = 1024;

/// What a contained program may lay out in one process without touching it, as a multiple of its memory. Thread stacks
/// and the heaps of virtual machines are laid out large and used little; what is used is measured.
pub const JAIL_LAID_OUT: u64 = 4;

/// Time between two looks at what a contained program uses. At full speed memory grows by some tens of MiB in between.
pub const JAIL_LOOK: Duration = Duration::from_millis(20);

/// The same when half of the memory is used.
pub const JAIL_LOOK_CLOSE: Duration = Duration::from_millis(4);

/// Time for a jail's own helper to answer. It takes milliseconds; a machine under load takes longer.
pub const JAIL_ANSWER: Duration = Duration::from_secs(10);

/// Time for a program to be gone after it was told in the orderly way, which still measures it; then its namespace's
/// first process is killed, and everything with it.
pub const JAIL_KILL: Duration = Duration::from_secs(2);

/// Bytes of shared memory files (`/dev/shm`) in a jail.
pub const JAIL_SHARED: u64 = 64 * 1024 * 1024;

/// Longest message between a jail and its helpers, bytes: the system's own limit for one is a little less.
pub const JAIL_MESSAGE: usize = 256 * 1024;

/// Paths that are named when a program wrote outside its folder.
pub const JAIL_STRAYS: usize = 100;

/// Content of a DATA frame, bytes, from which on the kernel moves it. Files up to this size are hashed by the thread that
/// has them in memory anyway, and of larger ones only the last frame is smaller.
pub const CARRY_LEAST: u64 = 512 * 1024;

/// Size of a pipe that content passes through, bytes: what a user may have, and a whole DATA frame.
pub const PIPE_BYTES: usize = 1024 * 1024;

/// The same where the system has no more for this user, and what is copied at once where the kernel cannot move it, bytes.
pub const PIPE_LEAST: usize = 64 * 1024;

/// Pipes that one connection keeps: as many as hold the content that may be in flight, and one that is being filled.
pub const PIPES: usize = 5;
