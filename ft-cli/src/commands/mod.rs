//! The verbs, one file each, and the way from a parsed command line to an exit code.

mod client;
mod completions;
pub(crate) mod demo;
mod dry;
mod get;
#[cfg(target_os = "linux")]
mod grade;
mod interrupt;
mod join;
mod key;
mod lab;
mod ls;
mod man;
mod proxy;
mod put;
mod recv;
mod send;
mod serve;
mod signals;
pub(crate) mod sim;
mod try_it;

use std::future::Future;

use tokio::runtime::Builder;

use crate::args::{Cli, Verb};
use crate::exit::{Exit, Stop};
use crate::fence::Fence;
use crate::render::Screen;

/// Lets this process have as many descriptors as its system allows: a session has a dozen, and connections that join it one each;
/// the usual 1,024 are fewer than all places together need.
fn raise_descriptors() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the number of descriptors stays as it is");
        }
    }
}

/// Runs a verb to its end and says, once, why it could not.
pub fn run(cli: Cli) -> Exit {
    let Cli { talk, verb } = cli;
    let bars = matches!(verb, Verb::Put(_) | Verb::Get(_) | Verb::Send(_));
    let screen = Screen::new(talk, bars);
    let shown = screen.clone();
    let result = match verb {
        Verb::Try(args) => alone(try_it::run(args, screen)),
        Verb::Demo(args) => demo::run(&args, &screen),
        Verb::Serve(args) => alone(serve::prepare(args))
            .and_then(|prepared| fenced(serve::fence(&prepared), serve::run(prepared, screen))),
        Verb::Put(args) if args.transfer.jobs > 1 => together(put::run(args, screen)),
        Verb::Put(args) => alone(put::run(args, screen)),
        Verb::Get(args) if args.transfer.jobs > 1 => together(get::run(args, screen)),
        Verb::Get(args) => alone(get::run(args, screen)),
        Verb::Ls(args) => alone(ls::run(args, screen)),
        Verb::Send(args) => alone(send::run(args, screen)),
        Verb::Recv(args) => {
            alone(recv::prepare(args)).and_then(|prepared| fenced(recv::fence(&prepared), recv::run(prepared, screen)))
        }
        Verb::Key(args) => key::run(&args, &screen),
        Verb::Sim(args) => sim::run(args.verb, &screen),
        Verb::Proxy(args) => alone(proxy::run(args, screen)),
        #[cfg(target_os = "linux")]
        Verb::Grade(args) => grade::run(&args, &screen),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => man::run(&args, &screen),
    };
    crate::disk::save_roots();
    let exit = result.unwrap_or_else(|stop| {
        shown.stop(&stop);
        stop.exit
    });
    match shown.output_lost() {
        Some(reason) => {
            let stop = Stop::failed(format_args!("cannot write to standard output: {reason}"));
            shown.stop(&stop);
            exit.and(stop.exit)
        }
        None => exit,
    }
}

/// Several sessions side by side, of which none can open anything outside the fence.
fn fenced(fence: Fence, work: impl Future<Output = Result<Exit, Stop>>) -> Result<Exit, Stop> {
    // Counted before: how many processors this process may use is read from files outside.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    fence
        .close()
        .map_err(|e| Stop::failed(format_args!("cannot open the folder again, for a fence around it: {e}")))?
        .log();
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads);
    block_on(builder, work)
}

/// One session at a time: one thread for the stream; the disk has its own.
fn alone<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    block_on(Builder::new_current_thread(), work)
}

/// Several sessions side by side.
fn together(work: impl Future<Output = Result<Exit, Stop>>) -> Result<Exit, Stop> {
    block_on(Builder::new_multi_thread(), work)
}

fn block_on<T>(mut builder: Builder, work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let runtime = builder.enable_all().build().map_err(|e| Stop::failed(format_args!("cannot start: {e}")))?;
    let result = runtime.block_on(work);
    // A name server or a pipe that never answers holds a thread: it must not hold the exit.
    runtime.shutdown_background();
    result
}
