//! The registers of a stopped thread, on each kind of processor. Both kinds are little-endian.

use std::io;

use libc::pid_t;

/// The number and arguments of the system call that a thread is about to make.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub number: i64,
    pub arguments: [u64; 6],
}

#[cfg(target_arch = "x86_64")]
pub use x86_64::{AUDIT_ARCH, entry, set_argument, skip};

#[cfg(target_arch = "aarch64")]
pub use aarch64::{AUDIT_ARCH, entry, set_argument, skip};

/// Reads or writes registers through a structure of the kernel.
fn regset<T>(request: libc::c_uint, thread: pid_t, kind: usize, value: &mut T) -> io::Result<()> {
    let mut vector =
        libc::iovec { iov_base: std::ptr::from_mut(value).cast(), iov_len: size_of::<T>() };
    // SAFETY: the vector describes `value`, which is as large as it says, valid for reads and
    // writes, and outlives the call. The callers pass plain integers, valid with any bits.
    let done = unsafe { libc::ptrace(request, thread, kind, &raw mut vector) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

const NT_PRSTATUS: usize = 1;

/// All general registers.
fn registers(thread: pid_t) -> io::Result<libc::user_regs_struct> {
    // SAFETY: the structure consists of integers, for which zero is a value.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    regset(libc::PTRACE_GETREGSET, thread, NT_PRSTATUS, &mut registers)?;
    Ok(registers)
}

fn set_registers(thread: pid_t, mut registers: libc::user_regs_struct) -> io::Result<()> {
    regset(libc::PTRACE_SETREGSET, thread, NT_PRSTATUS, &mut registers)
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::*;

    /// `AUDIT_ARCH_X86_64` (include/uapi/linux/audit.h).
    pub const AUDIT_ARCH: u32 = 0xc000_003e;

    pub fn entry(thread: pid_t) -> io::Result<Entry> {
        let found = registers(thread)?;
        Ok(Entry {
            number: found.orig_rax as i64,
            arguments: [found.rdi, found.rsi, found.rdx, found.r10, found.r8, found.r9],
        })
    }
    pub fn set_argument(thread: pid_t, index: usize, value: u64) -> io::Result<()> {
        let mut found = registers(thread)?;
        match index {
            0 => found.rdi = value,
            1 => found.rsi = value,
            2 => found.rdx = value,
            3 => found.r10 = value,
            4 => found.r8 = value,
            _ => found.r9 = value,
        }
        set_registers(thread, found)
    }
    /// Lets the call return this value instead of being made.
    pub fn skip(thread: pid_t, result: i64) -> io::Result<()> {
        let mut found = registers(thread)?;
        (found.orig_rax, found.rax) = (u64::MAX, result as u64);
        set_registers(thread, found)
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use super::*;

    /// `AUDIT_ARCH_AARCH64` (include/uapi/linux/audit.h).
    pub const AUDIT_ARCH: u32 = 0xc000_00b7;
    const NT_ARM_SYSTEM_CALL: usize = 0x404;

    pub fn entry(thread: pid_t) -> io::Result<Entry> {
        let found = registers(thread)?;
        let mut arguments = [0; 6];
        arguments.copy_from_slice(&found.regs[..6]);
        Ok(Entry { number: found.regs[8] as i64, arguments })
    }
    pub fn set_argument(thread: pid_t, index: usize, value: u64) -> io::Result<()> {
        let mut found = registers(thread)?;
        found.regs[index] = value;
        set_registers(thread, found)
    }
    /// Lets the call return this value instead of being made.
    pub fn skip(thread: pid_t, result: i64) -> io::Result<()> {
        let mut number: i32 = -1;
        regset(libc::PTRACE_SETREGSET, thread, NT_ARM_SYSTEM_CALL, &mut number)?;
        set_argument(thread, 0, result as u64)
    }
}
