use crate::args::ServeArgs;
use crate::exit::{Exit, Stop};
use crate::render::Screen;
pub(super) async fn run(_: ServeArgs, _: Screen) -> Result<Exit, Stop> {
    Err(Stop::failed("later"))
}
