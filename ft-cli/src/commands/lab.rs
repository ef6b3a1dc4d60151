//! The lab dialects.
use crate::args::{PutArgs, Transfer};
use crate::exit::{Exit, Stop};
use crate::render::Screen;
use super::get::Plan;

pub(super) async fn put(_: &PutArgs, _: &Screen) -> Result<Exit, Stop> {
    Err(Stop::failed("later"))
}
pub(super) async fn get(_: &Plan, _: &Transfer, _: &Screen) -> Result<Exit, Stop> {
    Err(Stop::failed("later"))
}
