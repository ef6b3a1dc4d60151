use crate::args::TryArgs;
use crate::exit::{Exit, Stop};
use crate::render::Screen;
pub(super) async fn run(_: TryArgs, _: Screen) -> Result<Exit, Stop> {
    Err(Stop::failed("later"))
}
