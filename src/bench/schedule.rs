//! Which case is next, and on which GPUs.
//!
//! Cases start in the order of the matrix, as far as what they need has ended. Those of one GPU,
//! or of none, run side by side where a user wants that; one of several GPUs is alone on the
//! machine, as a guide means it.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};

use super::BenchError;
use super::plan::PlannedCase;
use super::record::RunRecord;
use crate::engine::{Card, Gpus, Stop};

/// Cases that wait, run and have ended.
pub(super) struct Schedule<'a> {
    planned: &'a [PlannedCase],
    cards: &'a [Card],
    rules: Rules<'a>,
    state: Mutex<State>,
    changed: Condvar,
}

/// How a run goes about it.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Cases that run at once.
    pub jobs: usize,
    /// Whether a failed case ends the run.
    pub give_up: bool,
    /// The wish to stop.
    pub stop: &'a Stop,
}

struct State {
    /// Positions of cases that have not started, in order.
    waiting: Vec<usize>,
    running: BTreeMap<usize, Running>,
    free: Vec<Card>,
    done: BTreeMap<String, RunRecord>,
    error: Option<BenchError>,
}

/// A case that runs.
struct Running {
    cards: Vec<Card>,
    /// Whether it computes; a case that is skipped does not.
    works: bool,
    /// The most cases that ran at once while it did, itself included.
    most: usize,
}

/// A case that may start now.
pub(super) struct Turn {
    /// Its position in the plan.
    pub position: usize,
    /// Its GPUs.
    pub cards: Vec<Card>,
    /// The record of the case that it needs.
    pub needed: Option<RunRecord>,
}

impl<'a> Schedule<'a> {
    /// `done` are the records of cases that need not run, by their place.
    pub fn new(
        planned: &'a [PlannedCase],
        cards: &'a [Card],
        done: BTreeMap<String, RunRecord>,
        rules: Rules<'a>,
    ) -> Self {
        let waiting = (0..planned.len())
            .filter(|position| !done.contains_key(&planned[*position].place()))
            .collect();
        let (running, free) = (BTreeMap::new(), cards.to_vec());
        let state = State { waiting, running, free, done, error: None };
        Self { planned, cards, rules, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits for a case that may start; `None` if none will.
    pub fn next(&self) -> Option<Turn> {
        let mut state = self.state();
        loop {
            let given_up = self.rules.give_up && state.done.values().any(RunRecord::is_failure);
            if given_up || state.error.is_some() || self.rules.stop.is_requested() {
                return None;
            }
            if let Some(position) = self.startable(&state) {
                return Some(self.start(&mut state, position));
            }
            if state.running.is_empty() {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Whether a case waits that is not only skipped.
    pub fn has_work(&self) -> bool {
        let state = self.state();
        state.waiting.iter().any(|position| self.planned[*position].skipped().is_none())
    }

    /// The first waiting case that may start beside those that run. One that has to be alone lets
    /// later ones pass until nothing runs: there is an end to them.
    fn startable(&self, state: &State) -> Option<usize> {
        let may_start = |position: &usize| {
            let case = &self.planned[*position];
            !self.is_open(state, case.needed_place()) && self.has_room(state, case)
        };
        state.waiting.iter().copied().find(may_start)
    }

    /// Whether the case of this place waits or runs.
    fn is_open(&self, state: &State, place: Option<String>) -> bool {
        let Some(place) = place else { return false };
        let mut open = state.waiting.iter().chain(state.running.keys());
        open.any(|position| self.planned[*position].place() == place)
    }

    fn has_room(&self, state: &State, case: &PlannedCase) -> bool {
        let busy = state.running.values().filter(|running| running.works).count();
        let alone = state.running.keys().any(|other| !self.shares(&self.planned[*other]));
        match (case.skipped(), self.shares(case)) {
            (Some(_), _) => true,
            (None, true) => busy < self.rules.jobs && !alone && cards_of(case) <= state.free.len(),
            (None, false) => busy == 0,
        }
    }

    /// Whether other cases may run beside this one.
    fn shares(&self, case: &PlannedCase) -> bool {
        case.skipped().is_some() || cards_of(case) <= 1
    }

    fn start(&self, state: &mut State, position: usize) -> Turn {
        state.waiting.retain(|waiting| *waiting != position);
        let case = &self.planned[position];
        let works = case.skipped().is_none();
        let count = if works { cards_of(case).min(state.free.len()) } else { 0 };
        let cards: Vec<Card> = state.free.drain(..count).collect();
        state.running.insert(position, Running { cards: cards.clone(), works, most: 1 });
        let busy = state.running.values().filter(|running| running.works).count();
        for running in state.running.values_mut() {
            running.most = running.most.max(busy);
        }
        let needed = case.needed_place().and_then(|needed| state.done.get(&needed)).cloned();
        Turn { position, cards, needed }
    }

    /// The most cases that have run at once since the one at `position` began, itself included.
    pub fn most_at_once(&self, position: usize) -> usize {
        self.state().running.get(&position).map_or(1, |running| running.most)
    }

    /// A case has ended, with its record or without.
    pub fn end(&self, position: usize, record: Result<RunRecord, BenchError>) {
        let mut state = self.state();
        if let Some(running) = state.running.remove(&position) {
            state.free.extend(running.cards);
            // The first card serves first again, whatever order they come back in.
            let place = |card: &Card| self.cards.iter().position(|other| other == card);
            state.free.sort_by_key(place);
        }
        match record {
            Ok(record) => drop(state.done.insert(record.place(), record)),
            Err(error) => drop(state.error.get_or_insert(error)),
        }
        self.changed.notify_all();
    }

    /// The records of all cases that have ended, by their place, and the first error.
    pub fn finish(self) -> Result<BTreeMap<String, RunRecord>, BenchError> {
        let state = self.state.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        match state.error {
            Some(error) => Err(error),
            None => Ok(state.done),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// How many GPUs a case is given.
pub(super) fn cards_of(case: &PlannedCase) -> usize {
    match case.job.gpus {
        Gpus::None => 0,
        Gpus::All | Gpus::Cards(_) => case.case.gpus as usize,
    }
}
