//! One play of a scenario on its own: under another schedule, or as a case to be searched.
//!
//! A scenario's inputs are what makes its question; lessons and maps ask it again under schedules that the file does not have.

use super::{Play, Played, Scenario};
use crate::cases::{Case, Outcome};
use crate::report::Run;
use crate::room::{Away, Network};
use crate::schedule::Schedule;
use crate::world::World;

impl Scenario {
    /// The same under a name: that of a scenario which is built in, or a file's. Replay lines begin with it.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// What a replay line names, for a play counted from 0: `NAME/1` is the first.
    #[must_use]
    pub fn subject(&self, play: usize) -> String {
        format!("{}/{}", self.name, play + 1)
    }

    pub(super) fn played(&self, nth: usize, play: &Play, came: (Run, Outcome), surprises: Vec<String>) -> Played {
        let (run, outcome) = came;
        let replay = crate::replay::line(&self.subject(nth), &run.schedule);
        Played { case: play.case.name, replay, run, outcome, surprises }
    }

    /// How many plays it has; they count from 0 here.
    #[must_use]
    pub fn plays(&self) -> usize {
        self.plays.len()
    }

    /// The case of a play, before the scenario's inputs.
    #[must_use]
    pub fn case(&self, play: usize) -> Option<&'static Case> {
        self.plays.get(play).map(|play| play.case)
    }

    /// The schedule of a play, as the file has it.
    #[must_use]
    pub fn schedule(&self, play: usize) -> Option<&Schedule> {
        self.plays.get(play).map(|play| &play.schedule)
    }

    /// One play as the file has it; nothing is compared with what the file expects.
    #[must_use]
    pub fn play(&self, play: usize) -> Option<Played> {
        self.play_under(play, self.schedule(play)?)
    }

    /// One play's parties and inputs under another schedule; nothing is expected of it, so nothing surprises.
    #[must_use]
    pub fn play_under(&self, play: usize, schedule: &Schedule) -> Option<Played> {
        let it = self.plays.get(play)?;
        Some(self.played(play, it, it.setup.clone().play(schedule), Vec::new()))
    }

    /// As [`Scenario::play_under`], on another world's network.
    ///
    /// # Errors
    ///
    /// There is no such play, or why that world cannot hold it.
    pub fn play_on<N: Network>(&self, play: usize, away: &mut Away<N>, schedule: &Schedule) -> Result<Played, String> {
        let it = self.plays.get(play).ok_or_else(|| format!("the scenario has {} plays", self.plays.len()))?;
        it.case.holds(N::KIND, schedule)?;
        Ok(self.played(play, it, it.setup.clone().play_on(away, schedule), Vec::new()))
    }

    /// One play's parties and inputs as a function, for searches.
    pub fn closure(&self, play: usize) -> Option<impl Fn(&mut World) + use<>> {
        let game = self.plays.get(play)?.setup.clone().into_game();
        Some(move |world: &mut World| {
            game.play(world);
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::load;
    use crate::schedule::Schedule;

    const TEXT: &str = "# What of a name that is not the case's?\n# It is the scenario's.\nshows = [\"INTACT\"]\n\
                        [[play]]\ncase = \"lab-a-naive\"\nschedule = \"c2s@4 split\"\nbreaks = \"LIVE\"\n\
                        with = { name = \"abc\", old = false }\n";

    #[test]
    fn play_keeps_its_inputs_under_another_schedule() {
        let scenario = load(TEXT).expect("a scenario");
        let benign = scenario.play_under(0, &Schedule::benign()).expect("a play");
        assert_eq!(benign.outcome.files, "abc: new");
        assert_eq!(benign.run.violation, None);
        assert!(scenario.play(0).expect("a play").run.violation.is_some());
        assert!(scenario.play_under(1, &Schedule::benign()).is_none());
    }

    #[test]
    fn search_over_a_play_breaks_what_its_schedule_breaks() {
        let scenario = load(TEXT).expect("a scenario");
        let case = scenario.closure(0).expect("a play");
        let report = crate::explore("abc", case).exhaustive(1).report();
        assert!(report.expect_failure().minimal.schedule.deviations() == 1);
    }
}
