//! Works in rounds: while the batches of one round are mapped in parallel, the next round is read
//! and the previous one is written. The number of threads changes neither order, memory nor errors.
//! Only this module uses rayon.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use crate::error::{Error, Result};

/// A round ends once it has this many bytes of input.
const ROUND_BYTES: usize = 4 * 1024 * 1024;
/// The most inputs of a round: small ones take more memory than their bytes.
const ROUND_INPUTS: usize = 32;

/// The threads of a run.
#[derive(Debug)]
pub struct Threads(rayon::ThreadPool);

impl Threads {
    /// Starts this many threads, or one for each core.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if the system cannot start them.
    pub fn new(threads: Option<usize>) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
        pool.map(Threads).map_err(|error| Error::Usage(format!("cannot start threads: {error}")))
    }
    /// The number of threads.
    pub fn count(&self) -> usize {
        self.0.current_num_threads()
    }
    /// Runs `work` on these threads, so that [`for_each`] and [`join`] inside use them.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(work)
    }
}

/// Calls `work` for every item, in parallel. Returns the first error in the order of the items.
pub fn for_each<T: Send>(
    items: &mut [T],
    work: impl Fn(&mut T) -> Result<()> + Send + Sync,
) -> Result<()> {
    let results: Vec<Result<()>> = items.par_iter_mut().map(work).collect();
    results.into_iter().collect()
}

/// Runs two closures in parallel.
pub fn join<A: Send, B: Send>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    rayon::join(one, other)
}

/// A pool of values that threads need while they map. Values are created on demand and reused by
/// any thread.
#[derive(Debug)]
pub struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(Mutex::new(Vec::new()))
    }
}

impl<T> Pool<T> {
    /// Calls `work` with a value of the pool, or with a new one from `make` if all are in use.
    pub fn with<R>(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let pooled = self.lock().pop();
        let mut item = pooled.unwrap_or_else(make);
        let result = work(&mut item);
        self.lock().push(item);
        result
    }
    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stages of a run. Inputs are read in order, and outputs are written in the same order.
pub trait Stages: Sync {
    /// The unit that is read and mapped at once.
    type Input: Default + Send + Sync;
    /// The result of mapping one input.
    type Output: Default + Send;
    /// The state of the reading stage.
    type Reader: Send;
    /// The state of the writing stage.
    type Writer: Send;

    /// Reads the next input, reusing its memory. Returns false at the end.
    fn read(&self, reader: &mut Self::Reader, input: &mut Self::Input) -> Result<bool>;
    /// The size of an input in bytes.
    fn size(&self, input: &Self::Input) -> usize;
    /// Maps one input, on any thread.
    fn map(&self, input: &Self::Input, output: &mut Self::Output) -> Result<()>;
    /// Writes the outputs of a round, in order.
    fn write(
        &self,
        writer: &mut Self::Writer,
        round: &mut [(Self::Input, Self::Output)],
    ) -> Result<()>;
    /// Called once a round. An error stops the run.
    fn check(&self) -> Result<()>;
}

/// Runs the stages to the end of the input, or to the first error in the input's order.
pub fn run<S: Stages>(
    threads: &Threads,
    stages: &S,
    reader: &mut S::Reader,
    writer: &mut S::Writer,
) -> Result<()> {
    threads.run(|| run_here(stages, reader, writer))
}

type Round<S> = Vec<(<S as Stages>::Input, <S as Stages>::Output)>;

fn run_here<S: Stages>(stages: &S, reader: &mut S::Reader, writer: &mut S::Writer) -> Result<()> {
    // Three rounds of inputs are in memory at once, but only two of outputs. Inputs and outputs are
    // reused separately, so that there is no third round of outputs.
    let mut spare_inputs = Vec::new();
    let mut spare_outputs = Vec::new();
    let mut written: Round<S> = Vec::new();
    let (inputs, mut read_end) = read_round(stages, reader, &mut spare_inputs);
    let mut mapping: Round<S> = with_outputs::<S>(inputs, &mut spare_outputs);
    loop {
        stages.check()?;
        let is_last = !matches!(read_end, Ok(true));
        if is_last && mapping.is_empty() && written.is_empty() {
            return read_end.map(|_| ());
        }
        // The longest pieces of work start first, so that the threads finish at about the same
        // time.
        let (write_result, (next, map_result)) = rayon::join(
            || if written.is_empty() { Ok(()) } else { stages.write(writer, &mut written) },
            || {
                rayon::join(
                    || {
                        if is_last {
                            None
                        } else {
                            Some(read_round(stages, reader, &mut spare_inputs))
                        }
                    },
                    || map_round(stages, &mut mapping),
                )
            },
        );
        write_result?;
        map_result?;
        for (input, output) in written.drain(..) {
            spare_inputs.push(input);
            spare_outputs.push(output);
        }
        written = std::mem::take(&mut mapping);
        if let Some((inputs, end)) = next {
            mapping = with_outputs::<S>(inputs, &mut spare_outputs);
            read_end = end;
        }
    }
}

fn with_outputs<S: Stages>(inputs: Vec<S::Input>, spare: &mut Vec<S::Output>) -> Round<S> {
    inputs.into_iter().map(|input| (input, spare.pop().unwrap_or_default())).collect()
}

fn read_round<S: Stages>(
    stages: &S,
    reader: &mut S::Reader,
    spare: &mut Vec<S::Input>,
) -> (Vec<S::Input>, Result<bool>) {
    let mut round = Vec::new();
    let mut bytes = 0;
    loop {
        let mut input = spare.pop().unwrap_or_default();
        match stages.read(reader, &mut input) {
            Ok(true) => {
                bytes += stages.size(&input);
                round.push(input);
            }
            end => {
                spare.push(input);
                return (round, end);
            }
        }
        if bytes >= ROUND_BYTES || round.len() == ROUND_INPUTS {
            return (round, Ok(true));
        }
    }
}

fn map_round<S: Stages>(stages: &S, round: &mut Round<S>) -> Result<()> {
    let results: Vec<Result<()>> =
        round.par_iter_mut().map(|(input, output)| stages.map(input, output)).collect();
    results.into_iter().collect()
}
