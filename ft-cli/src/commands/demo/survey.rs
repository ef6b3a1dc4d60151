//! One fault at every byte of a protocol, counted: how many places there are to fall, and in how many it falls.

use ft_sim::cases::{self, Case};
use ft_sim::{Direction, Fault, Schedule, explore};

use super::lesson::Survey;

/// A protocol's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The case's name.
    pub(crate) case: String,
    /// Bytes of the benign run, from client to server and back.
    pub(crate) bytes: u64,
    /// For each fault of the survey: in how many places a promise broke, of how many.
    pub(crate) counts: Vec<(u64, u64)>,
}

impl Row {
    /// Places in which a promise broke, whatever the fault.
    pub(crate) fn fallen(&self) -> u64 {
        self.counts.iter().map(|(fallen, _)| fallen).sum()
    }
}

/// Counts as a lesson asks.
///
/// # Errors
///
/// There is no such case, or a fault cannot be read.
pub(crate) fn count(survey: &Survey) -> Result<Vec<Row>, String> {
    let faults = survey.faults.iter().map(|fault| self::fault(fault)).collect::<Result<Vec<_>, _>>()?;
    let row = |name: &String| {
        let case = cases::find(name).ok_or_else(|| format!("no case is named {name:?}"))?;
        let written = case.run(&Schedule::benign()).written;
        let counts = faults.iter().map(|&fault| fallen(case, fault, &written)).collect();
        Ok(Row { case: name.clone(), bytes: written.iter().flatten().sum(), counts })
    };
    survey.cases.iter().map(row).collect()
}

fn fault(text: &str) -> Result<Fault, String> {
    let schedule: Schedule = format!("c2s@1 {text}").parse().map_err(|e| format!("fault {text:?}: {e}"))?;
    schedule.steps().first().map(|step| step.fault).ok_or_else(|| format!("{text:?} is no fault"))
}

fn fallen(case: &Case, fault: Fault, written: &[[u64; 2]]) -> (u64, u64) {
    let places = places(fault, written);
    let closure = case.closure();
    // A case that stands is searched in one go; one that falls ends a search each time it does.
    let (mut fallen, mut done) = (0, 0);
    while done < places.len() {
        let report = explore(case.name, &closure).schedules(&places[done..]).report();
        fallen += u64::from(report.failure.is_some());
        done += usize::try_from(report.total_runs()).unwrap_or(usize::MAX).max(1);
    }
    (fallen, places.len() as u64)
}

/// Every byte of the first connection, both directions.
fn places(fault: Fault, written: &[[u64; 2]]) -> Vec<Schedule> {
    let bytes = written.first().copied().unwrap_or_default();
    let each = Direction::BOTH.into_iter().zip(bytes).flat_map(|(dir, bytes)| (0..=bytes).map(move |at| (dir, at)));
    each.filter_map(|(dir, at)| Schedule::single(dir, at, fault).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survey_counts_the_places_where_a_schedule_alone_breaks_the_case() {
        let survey = Survey { cases: vec!["lab-a-naive".to_owned()], faults: vec!["split".to_owned()] };
        let rows = count(&survey).expect("counted");
        let case = cases::find("lab-a-naive").expect("a case");
        let written = case.run(&Schedule::benign()).written;
        let one_by_one = places(Fault::Split, &written).iter().filter(|s| case.run(s).violation.is_some()).count();
        assert_eq!(rows[0].counts[0].0, one_by_one as u64);
        assert!(rows[0].fallen() > 0 && rows[0].fallen() < rows[0].counts[0].1, "{rows:?}");
    }

    #[test]
    fn survey_of_what_is_not_there_says_so() {
        let of = |case: &str, fault: &str| Survey { cases: vec![case.to_owned()], faults: vec![fault.to_owned()] };
        assert_eq!(count(&of("lab-z", "rst")), Err("no case is named \"lab-z\"".to_owned()));
        assert!(count(&of("lab-a-naive", "burn")).is_err());
    }
}
