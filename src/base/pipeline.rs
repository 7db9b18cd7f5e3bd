//! Work in rounds: while one round's batches are mapped in parallel, the next is read and the one before is
//! written. Order, memory and errors are the same whatever the number of threads. The only user of rayon.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use crate::error::{Error, Result};

/// Bytes of input in one round, unless a single batch is larger.
const ROUND_BYTES: usize = 4 * 1024 * 1024;

/// The threads of a run.
#[derive(Debug)]
pub struct Threads(rayon::ThreadPool);

impl Threads {
    /// So many threads; as many as there are cores where none are given.
    pub fn new(threads: Option<usize>) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
        pool.map(Threads).map_err(|error| Error::Usage(format!("cannot start threads: {error}")))
    }
    /// How many they are.
    pub fn count(&self) -> usize {
        self.0.current_num_threads()
    }
    /// Runs something on these threads, so that [`for_each`] and [`join`] in it use them.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(work)
    }
}

/// Does something to each item, in parallel; the first error in the items' order.
pub fn for_each<T: Send>(
    items: &mut [T],
    work: impl Fn(&mut T) -> Result<()> + Send + Sync,
) -> Result<()> {
    let results: Vec<Result<()>> = items.par_iter_mut().map(work).collect();
    results.into_iter().collect()
}

/// Does two things, in parallel.
pub fn join<A: Send, B: Send>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    rayon::join(one, other)
}

/// What threads need while they map, made when it is first needed and kept for the next use by any of them.
#[derive(Debug)]
pub struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(Mutex::new(Vec::new()))
    }
}

impl<T> Pool<T> {
    /// Works with one of what is there, or with a new one.
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

/// The stages of a run. Input is read in order and its outputs leave in order.
pub trait Stages: Sync {
    /// What is read at once.
    type Input: Default + Send + Sync;
    /// What becomes of it.
    type Output: Default + Send;
    /// The state of the reading stage.
    type Reader: Send;
    /// The state of the writing stage.
    type Writer: Send;

    /// Reads the next input into what is there. False at the end.
    fn read(&self, reader: &mut Self::Reader, input: &mut Self::Input) -> Result<bool>;
    /// Size of an input in bytes.
    fn size(&self, input: &Self::Input) -> usize;
    /// Maps one input; on any thread.
    fn map(&self, input: &Self::Input, output: &mut Self::Output) -> Result<()>;
    /// Takes a round of input and output, in order.
    fn write(
        &self,
        writer: &mut Self::Writer,
        round: &mut [(Self::Input, Self::Output)],
    ) -> Result<()>;
    /// Asked once a round: an error to stop with.
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
    // Inputs of three rounds are there at once, outputs of two: kept apart, so that no third set of outputs is.
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
        // The longest single pieces of work come first, so that the threads end together.
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
        if bytes >= ROUND_BYTES {
            return (round, Ok(true));
        }
    }
}

fn map_round<S: Stages>(stages: &S, round: &mut Round<S>) -> Result<()> {
    let results: Vec<Result<()>> =
        round.par_iter_mut().map(|(input, output)| stages.map(input, output)).collect();
    results.into_iter().collect()
}
