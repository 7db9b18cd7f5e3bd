//! The file calls: their numbers, and where their arguments are.

use crate::options::Fault;

/// Which argument names the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// This one is a descriptor.
    Descriptor(usize),
    /// This one is a path, relative to the working directory.
    Path(usize),
    /// This one is a descriptor of a directory, and the next one a path relative to it.
    PathAt(usize),
    /// Two paths; the second file is named by the other one.
    Two(usize, usize),
    /// Two paths with a directory each.
    TwoAt(usize, usize),
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Opens; the flags are this argument.
    Open(usize),
    Read,
    Write,
    /// Looks at a file or directory.
    Look,
    Close,
    Sync,
    Lock,
    /// Takes space, or a name, in a directory.
    Create,
    Rename,
    Remove,
    /// Changes a mode.
    Mode,
}

/// How the number of bytes is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// As this argument.
    Argument(usize),
    /// As an array of buffers.
    Vector,
}

/// A system call.
#[derive(Debug)]
pub struct Call {
    pub number: i64,
    pub name: &'static str,
    pub names: Names,
    pub does: Does,
}

macro_rules! calls {
    ($($(#[$only:meta])? $number:ident $name:literal $names:expr, $does:expr;)*) => {
        &[$($(#[$only])? Call { number: libc::$number, name: $name, names: $names, does: $does },)*]
    };
}

use Does::{Close, Create, Lock, Look, Mode, Open, Read, Remove, Rename, Sync, Write};
use Names::{Descriptor, Path, PathAt, Two, TwoAt};

/// All calls that the filter stops at. aarch64 has none of those that a newer one replaces.
pub const CALLS: &[Call] = calls! {
    #[cfg(target_arch = "x86_64")] SYS_open "open" Path(0), Open(1);
    SYS_openat "openat" PathAt(0), Open(2);
    SYS_read "read" Descriptor(0), Read;
    SYS_pread64 "pread64" Descriptor(0), Read;
    SYS_readv "readv" Descriptor(0), Read;
    SYS_preadv "preadv" Descriptor(0), Read;
    SYS_preadv2 "preadv2" Descriptor(0), Read;
    SYS_write "write" Descriptor(0), Write;
    SYS_pwrite64 "pwrite64" Descriptor(0), Write;
    SYS_writev "writev" Descriptor(0), Write;
    SYS_pwritev "pwritev" Descriptor(0), Write;
    SYS_pwritev2 "pwritev2" Descriptor(0), Write;
    SYS_copy_file_range "copy_file_range" Descriptor(2), Write;
    SYS_sendfile "sendfile" Descriptor(0), Write;
    SYS_fsync "fsync" Descriptor(0), Sync;
    SYS_fdatasync "fdatasync" Descriptor(0), Sync;
    SYS_close "close" Descriptor(0), Close;
    SYS_ftruncate "ftruncate" Descriptor(0), Create;
    SYS_flock "flock" Descriptor(0), Lock;
    SYS_fchmod "fchmod" Descriptor(0), Mode;
    #[cfg(target_arch = "x86_64")] SYS_chmod "chmod" Path(0), Mode;
    SYS_fchmodat "fchmodat" PathAt(0), Mode;
    SYS_fchown "fchown" Descriptor(0), Mode;
    #[cfg(target_arch = "x86_64")] SYS_mkdir "mkdir" Path(0), Create;
    SYS_mkdirat "mkdirat" PathAt(0), Create;
    #[cfg(target_arch = "x86_64")] SYS_rmdir "rmdir" Path(0), Remove;
    #[cfg(target_arch = "x86_64")] SYS_unlink "unlink" Path(0), Remove;
    SYS_unlinkat "unlinkat" PathAt(0), Remove;
    #[cfg(target_arch = "x86_64")] SYS_rename "rename" Two(0, 1), Rename;
    SYS_renameat "renameat" TwoAt(0, 2), Rename;
    SYS_renameat2 "renameat2" TwoAt(0, 2), Rename;
    #[cfg(target_arch = "x86_64")] SYS_link "link" Two(0, 1), Create;
    SYS_linkat "linkat" TwoAt(0, 2), Create;
    SYS_symlinkat "symlinkat" PathAt(1), Create;
    #[cfg(target_arch = "x86_64")] SYS_stat "stat" Path(0), Look;
    #[cfg(target_arch = "x86_64")] SYS_lstat "lstat" Path(0), Look;
    SYS_fstat "fstat" Descriptor(0), Look;
    SYS_newfstatat "newfstatat" PathAt(0), Look;
    SYS_statx "statx" PathAt(0), Look;
    SYS_getdents64 "getdents64" Descriptor(0), Look;
    SYS_statfs "statfs" Path(0), Look;
    SYS_readlinkat "readlinkat" PathAt(0), Look;
};

impl Call {
    pub fn find(number: i64) -> Option<&'static Call> {
        CALLS.iter().find(|call| call.number == number)
    }
    /// How many bytes it is to move.
    pub fn count(&self) -> Option<Count> {
        match self.name {
            "read" | "pread64" | "write" | "pwrite64" => Some(Count::Argument(2)),
            "readv" | "preadv" | "preadv2" | "writev" | "pwritev" | "pwritev2" => {
                Some(Count::Vector)
            }
            _ => None,
        }
    }
    /// Whether it may change something on disk.
    fn changes(&self, arguments: &[u64; 6]) -> bool {
        match self.does {
            Open(flags) => arguments[flags] & libc::O_CREAT as u64 != 0,
            Write | Sync | Lock | Create | Rename | Remove | Mode => true,
            Read | Look | Close => false,
        }
    }
    /// Whether a system lets it fail this way. A process can be killed anywhere, but what it leaves
    /// differs only at calls that change something.
    pub fn can(&self, fault: Fault, arguments: &[u64; 6]) -> bool {
        match fault {
            Fault::Error(libc::ENOSPC) => match self.does {
                Open(flags) => arguments[flags] & libc::O_CREAT as u64 != 0,
                Write | Sync | Create | Rename => true,
                Read | Look | Close | Lock | Remove | Mode => false,
            },
            Fault::Error(libc::EACCES) => self.does != Lock && !matches!(self.names, Descriptor(_)),
            Fault::Error(libc::EINTR) => {
                matches!(self.does, Open(_) | Read | Write | Sync | Lock)
                    || self.name == "ftruncate"
            }
            Fault::Error(_) => true,
            Fault::Short => self.count().is_some(),
            Fault::Signal(libc::SIGKILL) => self.changes(arguments),
            Fault::Signal(_) => true,
        }
    }
}
