//! Runs the command, stops it at its file calls, and lets one of them go wrong.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use libc::pid_t;

use crate::arch::{self, Entry};
use crate::calls::{CALLS, Call, Count, Does, Names};
use crate::options::{At, Fault, Options};

/// What is put right once a shortened call returns.
#[derive(Debug)]
enum Restore {
    Argument { index: usize, value: u64 },
    Memory { address: u64, value: u64 },
}

struct Tracer<'o> {
    options: &'o Options,
    main: pid_t,
    known: HashSet<pid_t>,
    restores: HashMap<pid_t, Vec<Restore>>,
    /// Whether a call below the directory was seen.
    has_begun: bool,
    counted: u64,
    has_happened: bool,
    list: Option<BufWriter<File>>,
    report: File,
}

/// Runs the command, and returns its exit code, or 128 and the signal that ended it.
pub fn run(options: &Options) -> io::Result<u8> {
    let report = File::create(&options.report)?;
    let list = options.list.as_ref().map(File::create).transpose()?.map(BufWriter::new);
    let filter = filter();
    let mut command = Command::new(&options.command[0]);
    command.args(&options.command[1..]);
    // SAFETY: between fork and exec, the closure makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(move || let_be_traced(&filter)) };
    let main = command.spawn()?.id() as pid_t;
    let mut tracer = Tracer {
        options,
        main,
        known: HashSet::from([main]),
        restores: HashMap::new(),
        has_begun: false,
        counted: 0,
        has_happened: false,
        list,
        report,
    };
    wait_for(main)?;
    let wanted = libc::PTRACE_O_TRACESECCOMP
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_EXITKILL;
    ptrace(libc::PTRACE_SETOPTIONS, main, wanted as usize)?;
    ptrace(libc::PTRACE_CONT, main, 0)?;
    let status = tracer.follow()?;
    tracer.end(status)
}

/// In the new process: lets the parent trace it, and installs the filter.
fn let_be_traced(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: PTRACE_TRACEME takes no pointers. The kernel copies the filter, which `program`
    // describes and which outlives the calls.
    let done = unsafe {
        libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A filter that stops at file calls and lets all others pass.
fn filter() -> Vec<libc::sock_filter> {
    let line = |code: u32, jt: usize, jf: usize, k: u32| libc::sock_filter {
        code: code as u16,
        jt: jt as u8,
        jf: jf as u8,
        k,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let end = libc::BPF_RET | libc::BPF_K;
    // The offsets of `arch` and `nr` in `struct seccomp_data`.
    let mut lines = vec![
        line(load, 0, 0, 4),
        line(equal, 0, CALLS.len() + 1, arch::AUDIT_ARCH),
        line(load, 0, 0, 0),
    ];
    lines.extend(
        CALLS
            .iter()
            .enumerate()
            .map(|(index, call)| line(equal, CALLS.len() - index, 0, call.number as u32)),
    );
    lines.push(line(end, 0, 0, libc::SECCOMP_RET_ALLOW));
    lines.push(line(end, 0, 0, libc::SECCOMP_RET_TRACE));
    lines
}

/// A request that takes no pointer.
fn ptrace(request: libc::c_uint, thread: pid_t, data: usize) -> io::Result<()> {
    // SAFETY: the callers use requests whose address is ignored and whose data is a number.
    match unsafe { libc::ptrace(request, thread, 0, data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Waits for a thread, or any with -1; its status.
fn wait_for(thread: pid_t) -> io::Result<(pid_t, i32)> {
    let mut status = 0;
    loop {
        // SAFETY: the status outlives the call.
        let found = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
        match found {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return Err(io::Error::last_os_error()),
            _ => return Ok((found, status)),
        }
    }
}

fn send(process: pid_t, signal: i32) {
    // SAFETY: takes no pointers. The process is our child, not yet waited for.
    unsafe { libc::kill(process, signal) };
}

/// Whether an error means that the thread was killed meanwhile, which its status will say.
fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}

impl Tracer<'_> {
    /// Follows all threads to their ends; the status of the process.
    fn follow(&mut self) -> io::Result<i32> {
        let mut ended = None;
        loop {
            let (thread, status) = match wait_for(-1) {
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {
                    return ended.ok_or(error);
                }
                other => other?,
            };
            if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                if thread == self.main {
                    ended = Some(status);
                }
                continue;
            }
            match self.stopped(thread, status) {
                Err(error) if is_gone(&error) => {}
                other => other?,
            }
        }
    }
    fn stopped(&mut self, thread: pid_t, status: i32) -> io::Result<()> {
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        let is_new = self.known.insert(thread);
        if event == libc::PTRACE_EVENT_SECCOMP {
            let entry = arch::entry(thread)?;
            let Some(call) = Call::find(entry.number) else {
                return ptrace(libc::PTRACE_CONT, thread, 0);
            };
            self.call(thread, call, entry)?;
            // A shortened call stops once more when it returns.
            let on = match self.restores.contains_key(&thread) {
                true => libc::PTRACE_SYSCALL,
                false => libc::PTRACE_CONT,
            };
            return ptrace(on, thread, 0);
        }
        if signal == libc::SIGTRAP | 0x80 {
            self.restore(thread)?;
            return ptrace(libc::PTRACE_CONT, thread, 0);
        }
        let is_own = event != 0 || is_new && signal == libc::SIGSTOP;
        ptrace(libc::PTRACE_CONT, thread, if is_own { 0 } else { signal as usize })
    }
    /// A thread is about to make a call.
    fn call(&mut self, thread: pid_t, call: &Call, entry: Entry) -> io::Result<()> {
        let arguments = &entry.arguments;
        let fault = self.options.fault;
        if !self.has_begun {
            self.has_begun = self.is_below(&paths(thread, call, arguments));
        }
        if !self.has_begun {
            return Ok(());
        }
        // The fifth argument of renameat2 is its flags.
        if self.options.lacks_exchange && call.name == "renameat2" && arguments[4] != 0 {
            return arch::skip(thread, -i64::from(libc::EINVAL));
        }
        if self.has_happened {
            if let Fault::Error(error) = fault
                && self.options.from_there_on
                && call.can(fault, arguments)
            {
                let found = paths(thread, call, arguments);
                if self.is_below(&found) {
                    self.report
                        .write_all(format!("call {}", self.line(call, &found)).as_bytes())?;
                    arch::skip(thread, -i64::from(error))?;
                }
            }
            return Ok(());
        }
        if !call.can(fault, arguments) {
            return Ok(());
        }
        self.counted += 1;
        let is_it = match self.options.at {
            At::Number(number) => self.counted == number,
            At::Rename => call.does == Does::Rename,
            At::Never => false,
        };
        if !is_it && self.list.is_none() {
            return Ok(());
        }
        let found = paths(thread, call, arguments);
        let line = self.line(call, &found);
        if let Some(list) = &mut self.list {
            list.write_all(line.as_bytes())?;
        }
        if !is_it {
            return Ok(());
        }
        self.has_happened = true;
        self.report.write_all(format!("call {line}").as_bytes())?;
        match fault {
            Fault::Error(error) => arch::skip(thread, -i64::from(error)),
            Fault::Short => self.shorten(thread, call, arguments),
            Fault::Signal(signal) => {
                send(self.main, signal);
                Ok(())
            }
        }
    }
    /// A call as it is reported.
    fn line(&self, call: &Call, paths: &[PathBuf]) -> String {
        let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        format!("{} {} {}\n", self.counted, call.name, shown.join("\t"))
    }
    fn is_below(&self, paths: &[PathBuf]) -> bool {
        paths.iter().any(|path| path.starts_with(&self.options.below))
    }
    /// Halves the number of bytes of a call.
    fn shorten(&mut self, thread: pid_t, call: &Call, arguments: &[u64; 6]) -> io::Result<()> {
        let mut restores = Vec::new();
        match call.count() {
            Some(Count::Argument(index)) if arguments[index] > 1 => {
                arch::set_argument(thread, index, arguments[index] / 2)?;
                restores.push(Restore::Argument { index, value: arguments[index] });
            }
            Some(Count::Vector) => {
                // The length is the second word of the first buffer.
                let address = arguments[1] + 8;
                let value = word(thread, address)?;
                if value > 1 {
                    set_word(thread, address, value / 2)?;
                    restores.push(Restore::Memory { address, value });
                }
                if arguments[2] > 1 {
                    arch::set_argument(thread, 2, 1)?;
                    restores.push(Restore::Argument { index: 2, value: arguments[2] });
                }
            }
            _ => {}
        }
        self.restores.insert(thread, restores);
        Ok(())
    }
    /// Puts right what [`Tracer::shorten`] changed, as the program relies on it.
    fn restore(&mut self, thread: pid_t) -> io::Result<()> {
        for restore in self.restores.remove(&thread).unwrap_or_default() {
            match restore {
                Restore::Argument { index, value } => arch::set_argument(thread, index, value)?,
                Restore::Memory { address, value } => set_word(thread, address, value)?,
            }
        }
        Ok(())
    }
    /// Says how the process ended.
    fn end(mut self, status: i32) -> io::Result<u8> {
        if let Some(mut list) = self.list.take() {
            list.flush()?;
        }
        let (how, code) = match libc::WIFEXITED(status) {
            true => ("exited", libc::WEXITSTATUS(status)),
            false => ("signaled", libc::WTERMSIG(status)),
        };
        writeln!(self.report, "count {}\n{how} {code}", self.counted)?;
        Ok(if how == "exited" { code as u8 } else { 128 + code as u8 })
    }
}

fn memory(thread: pid_t, writable: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(writable).open(format!("/proc/{thread}/mem"))
}

fn word(thread: pid_t, address: u64) -> io::Result<u64> {
    let mut bytes = [0; 8];
    memory(thread, false)?.read_exact_at(&mut bytes, address)?;
    Ok(u64::from_le_bytes(bytes))
}

fn set_word(thread: pid_t, address: u64, value: u64) -> io::Result<()> {
    memory(thread, true)?.write_all_at(&value.to_le_bytes(), address)
}

/// A path in the memory of a thread.
fn text(thread: pid_t, address: u64) -> Option<PathBuf> {
    if address == 0 {
        return None;
    }
    let mut bytes = vec![0; libc::PATH_MAX as usize];
    // A read that reaches memory that is not there returns what is before it.
    let read = memory(thread, false).ok()?.read_at(&mut bytes, address).ok()?;
    let end = bytes[..read].iter().position(|byte| *byte == 0)?;
    bytes.truncate(end);
    Some(OsString::from_vec(bytes).into())
}

/// The file of a descriptor.
fn descriptor(thread: pid_t, descriptor: u64) -> PathBuf {
    let descriptor = descriptor as i32;
    let link = match descriptor {
        libc::AT_FDCWD => format!("/proc/{thread}/cwd"),
        _ => format!("/proc/{thread}/fd/{descriptor}"),
    };
    std::fs::read_link(link).unwrap_or_else(|_| PathBuf::from(format!("descriptor {descriptor}")))
}

fn below(directory: &Path, path: Option<PathBuf>) -> PathBuf {
    match path {
        Some(path) if !path.as_os_str().is_empty() => directory.join(path),
        _ => directory.to_owned(),
    }
}

/// The files that a call is about.
fn paths(thread: pid_t, call: &Call, arguments: &[u64; 6]) -> Vec<PathBuf> {
    let here = || descriptor(thread, libc::AT_FDCWD as u64);
    let path = |index: usize| below(&here(), text(thread, arguments[index]));
    let path_at = |index: usize| {
        below(&descriptor(thread, arguments[index]), text(thread, arguments[index + 1]))
    };
    match call.names {
        Names::Descriptor(index) => vec![descriptor(thread, arguments[index])],
        Names::Path(index) => vec![path(index)],
        Names::PathAt(index) => vec![path_at(index)],
        Names::Two(one, other) => vec![path(one), path(other)],
        Names::TwoAt(one, other) => vec![path_at(one), path_at(other)],
    }
}
