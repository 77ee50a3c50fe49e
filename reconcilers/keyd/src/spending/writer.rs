//! The thread that decides and writes.

use std::{collections::HashSet, path::Path, sync::mpsc};

use jiff::Timestamp;
use osmoda_chains::U256;
use osmoda_failpoint as failpoint;
use osmoda_wallet_policy::Limit;

use super::{
    Approve, Event, Group, Note, Purpose, Reservation, Reserve, SpendError, Used,
    database::Database,
    sums::{Spender, Sums},
};

/// Most questions that share a commit.
const TOGETHER: usize = 256;

type Answer<T> = mpsc::SyncSender<Result<T, SpendError>>;

/// A question, with whoever waits for the answer.
pub(super) enum Ask {
    Reserve(Box<Reserve>, Answer<Reservation>),
    Release(i64, Answer<()>),
    Approve(Box<Approve>, Answer<()>),
    Use(Box<Used>, Note, Answer<()>),
    Note(Note, Answer<()>),
    Events(i64, u32, Answer<(Vec<Event>, i64)>),
    Left(Group, Vec<Limit>, Answer<Vec<(U256, Option<u32>)>>),
}

/// What is told once all of them are durable.
type Told = Vec<Box<dyn FnOnce(Result<(), &str>) + Send>>;

pub(super) struct Writer {
    database: Database,
    sums: Sums,
    clock: Box<dyn Fn() -> Timestamp + Send>,
    /// The latest time that anything was written down at.
    latest: Timestamp,
    /// Why this commit must not be.
    broken: Option<String>,
    /// Reservations that more than one call was granted.
    again: HashSet<i64>,
}

impl Writer {
    pub fn open(file: &Path, clock: Box<dyn Fn() -> Timestamp + Send>) -> Result<Self, SpendError> {
        let database = Database::open(file)?;
        let mut writer = Self {
            database,
            sums: Sums::default(),
            clock,
            latest: Timestamp::MIN,
            broken: None,
            again: HashSet::new(),
        };
        writer.load()?;
        Ok(writer)
    }

    /// Reads all that may count still.
    fn load(&mut self) -> Result<(), SpendError> {
        (self.sums, self.latest) = self.database.load()?;
        Ok(())
    }

    pub fn run(mut self, asks: &mpsc::Receiver<Ask>) {
        while let Ok(first) = asks.recv() {
            let mut batch = vec![first];
            batch.extend(asks.try_iter().take(TOGETHER - 1));
            self.serve(batch);
        }
    }

    fn serve(&mut self, batch: Vec<Ask>) {
        // What could not be read again may be readable now.
        if self.database.is_closed() && self.load().is_ok() {
            self.database.reopen();
        }
        if let Err(error) = self.database.begin() {
            return batch.into_iter().for_each(|ask| refuse(ask, &error));
        }
        let mut told = Told::new();
        self.broken = None;
        batch.into_iter().for_each(|ask| self.answer(ask, &mut told));
        let whole = self.broken.take().map_or(Ok(()), |error| Err(SpendError::Database(error)));
        let committed = whole
            .and_then(|()| Ok(failpoint::may_fail("keyd.spend", told.len())?))
            .and_then(|()| self.database.commit());
        failpoint::after("keyd.spend", told.len());
        if let Err(error) = &committed {
            // Nothing of it counts; what is in memory is read again. Where that fails as well, nothing is granted until it does not.
            self.database.roll_back();
            if let Err(error) = self.load() {
                self.database.close(error.to_string());
            }
            told.into_iter().for_each(|tell| tell(Err(&error.to_string())));
        } else {
            told.into_iter().for_each(|tell| tell(Ok(())));
        }
    }

    fn answer(&mut self, ask: Ask, told: &mut Told) {
        match ask {
            Ask::Reserve(reserve, answer) => {
                let granted = self.reserve(&reserve);
                self.all_or_nothing(&granted);
                later(granted, answer, told);
            }
            Ask::Release(id, answer) => {
                let released = self.release(id);
                self.all_or_nothing(&released);
                later(released, answer, told);
            }
            Ask::Approve(approve, answer) => {
                let now = self.now();
                let approved = self.database.approve(&approve);
                let approved = approved.and_then(|()| self.database.note(&approve.note, None, now));
                self.all_or_nothing(&approved);
                later(approved, answer, told);
            }
            Ask::Use(used, note, answer) => {
                let now = self.now();
                let used = self.database.use_approval(&used, now);
                let used = used.and_then(|used| if used { Ok(()) } else { Err(SpendError::NotApproved) });
                let used = used.and_then(|()| self.database.note(&note, None, now));
                self.all_or_nothing(&used);
                later(used, answer, told);
            }
            Ask::Note(note, answer) => {
                let noted = self.database.note(&note, None, self.now());
                self.all_or_nothing(&noted);
                later(noted, answer, told);
            }
            Ask::Events(after, most, answer) => {
                // As one of the commit: what is told is durable.
                later(self.database.events(after, most), answer, told);
            }
            Ask::Left(group, limits, answer) => {
                let now = self.now();
                let left = limits.iter().map(|limit| self.left(&group, limit, now)).collect();
                // Whoever asked may be gone.
                let _ = answer.send(Ok(left));
            }
        }
    }

    /// What could not be written may be written in half: then none of this commit stays.
    fn all_or_nothing<T>(&mut self, done: &Result<T, SpendError>) {
        if let Err(SpendError::Database(error)) = done {
            self.broken = Some(error.clone());
        }
    }

    fn release(&mut self, id: i64) -> Result<(), SpendError> {
        if !self.again.contains(&id) && self.database.release(id)? {
            let note = Note { kind: "wallet.released", payload: "{}".to_owned() };
            self.database.note(&note, Some(id), self.now())?;
            self.load()?;
        }
        Ok(())
    }

    /// The time; it never goes back, so that no window opens a second time.
    fn now(&self) -> Timestamp {
        let now = (self.clock)();
        // As exact as what is written down.
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now).max(self.latest)
    }

    fn reserve(&mut self, reserve: &Reserve) -> Result<Reservation, SpendError> {
        if let Some(id) = self.database.known(&reserve.wallet, &reserve.payload)? {
            self.again.insert(id);
            return Ok(Reservation { id, again: true });
        }
        let now = self.now();
        for (limit, amount) in &reserve.limits {
            let (left, signatures) = self.left(&reserve.group, limit, now);
            if *amount > left {
                return Err(SpendError::Limit { limit: limit.name.clone(), left, wanted: *amount });
            }
            if let (Some(0), Some(most)) = (signatures, limit.signatures) {
                return Err(SpendError::Signatures { limit: limit.name.clone(), most });
            }
        }
        if let Some(approvers) = &reserve.approvers {
            let (wallet, payload, caller) = (reserve.wallet.clone(), reserve.payload, reserve.caller);
            let used = Used { wallet, purpose: Purpose::Sign, payload, caller, approvers: approvers.clone() };
            if !self.database.use_approval(&used, now)? {
                return Err(SpendError::NotApproved);
            }
        }
        let id = self.database.write(reserve, now)?;
        self.database.note(&reserve.note, Some(id), now)?;
        let (wallet, account, policy) = (reserve.wallet.clone(), reserve.account, reserve.policy.clone());
        self.sums.add(Spender { wallet, account, policy }, (reserve.chain, reserve.chain_id), now, &reserve.spends);
        self.latest = now;
        Ok(Reservation { id, again: false })
    }

    fn left(&self, group: &Group, limit: &Limit, now: Timestamp) -> (U256, Option<u32>) {
        let spent = self.sums.spent(group, limit, now);
        let left = spent.and_then(|spent| limit.amount.checked_sub(spent)).unwrap_or(U256::ZERO);
        let signatures = limit.signatures.map(|most| {
            let signed = self.sums.signatures(group, limit, now);
            u32::try_from(u64::from(most).saturating_sub(signed)).unwrap_or(0)
        });
        (left, signatures)
    }
}

/// Tells a refusal with the others, too: what it rests on may not have become durable.
fn later<T: Send + 'static>(result: Result<T, SpendError>, answer: Answer<T>, told: &mut Told) {
    told.push(Box::new(move |committed| {
        let result = match committed {
            Ok(()) => result,
            Err(error) => Err(SpendError::Database(error.to_owned())),
        };
        let _ = answer.send(result);
    }));
}

fn refuse(ask: Ask, error: &SpendError) {
    let error = || SpendError::Database(error.to_string());
    match ask {
        Ask::Reserve(_, answer) => drop(answer.send(Err(error()))),
        Ask::Release(_, answer) | Ask::Approve(_, answer) | Ask::Use(.., answer) | Ask::Note(_, answer) => {
            drop(answer.send(Err(error())));
        }
        Ask::Events(.., answer) => drop(answer.send(Err(error()))),
        Ask::Left(.., answer) => drop(answer.send(Err(error()))),
    }
}
