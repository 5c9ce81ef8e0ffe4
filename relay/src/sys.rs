//! The few calls of the C library that the standard library has no words for. All `unsafe` code is here.

use std::{
    ffi::c_int,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

/// There is something to read.
pub(crate) const READ: i16 = 1;
/// There is room to write.
pub(crate) const WRITE: i16 = 4;

const F_SETFD: c_int = 2;
const FD_CLOEXEC: c_int = 1;
const F_GETFL: c_int = 3;
const F_SETFL: c_int = 4;
const O_NONBLOCK: c_int = 0o4000;
const TIOCSCTTY: u64 = 0x540e;
const TIOCSWINSZ: u64 = 0x5414;
const PR_SET_DUMPABLE: c_int = 4;
const SIGHUP: c_int = 1;

/// An entry of `poll(2)`; one below zero as `fd` is passed over.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Poll {
    pub(crate) fd: RawFd,
    pub(crate) events: i16,
    pub(crate) found: i16,
}

#[repr(C)]
struct Size {
    rows: u16,
    cols: u16,
    width: u16,
    height: u16,
}

unsafe extern "C" {
    fn poll(entries: *mut Poll, count: u64, timeout: c_int) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn ioctl(fd: c_int, request: u64, ...) -> c_int;
    fn openpty(
        master: *mut c_int,
        slave: *mut c_int,
        name: *mut u8,
        terms: *const u8,
        size: *const Size,
    ) -> c_int;
    fn setsid() -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn prctl(option: c_int, ...) -> c_int;
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Waits until one of the entries is ready, at most so many milliseconds; below zero for ever.
pub(crate) fn wait(entries: &mut [Poll], milliseconds: c_int) -> io::Result<()> {
    // SAFETY: pointer and length are those of one exclusive slice of `repr(C)` entries.
    let result = unsafe { poll(entries.as_mut_ptr(), entries.len() as u64, milliseconds) };
    match checked(result) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            entries.iter_mut().for_each(|entry| entry.found = 0);
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Reads and writes of this file no longer wait.
pub(crate) fn no_waiting(file: &impl AsRawFd) -> io::Result<()> {
    let fd = file.as_raw_fd();
    // SAFETY: `fd` is open for the length of the borrow; F_GETFL takes no argument.
    let flags = checked(unsafe { fcntl(fd, F_GETFL) })?;
    // SAFETY: as above; F_SETFL takes an int.
    checked(unsafe { fcntl(fd, F_SETFL, flags | O_NONBLOCK) }).map(drop)
}

/// Other processes of the same user can neither trace this one nor open its files by `/proc`.
pub(crate) fn shut_off() {
    // SAFETY: PR_SET_DUMPABLE takes one number. Where it is not known, nothing changes.
    unsafe { prctl(PR_SET_DUMPABLE, 0_u64, 0_u64, 0_u64, 0_u64) };
}

/// A program with a terminal of its own.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// Our end. Closing it hangs up.
    pub(crate) master: std::fs::File,
    pub(crate) child: Child,
}

impl Terminal {
    /// Starts `command` as the leader of a session on a new terminal.
    pub(crate) fn start(mut command: Command, rows: u16, cols: u16) -> io::Result<Self> {
        let (mut master, mut slave) = (-1, -1);
        let size = Size { rows, cols, width: 0, height: 0 };
        // SAFETY: the two numbers and the size live on this stack; the null pointers are allowed by openpty(3).
        checked(unsafe {
            openpty(&raw mut master, &raw mut slave, std::ptr::null_mut(), std::ptr::null(), &raw const size)
        })?;
        // SAFETY: openpty has just made both, and nobody else owns them.
        let (master, slave) = unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        for end in [&master, &slave] {
            // SAFETY: the file is open; F_SETFD takes an int.
            checked(unsafe { fcntl(end.as_raw_fd(), F_SETFD, FD_CLOEXEC) })?;
        }
        no_waiting(&master)?;
        command.stdin(Stdio::from(slave.try_clone()?));
        command.stdout(Stdio::from(slave.try_clone()?));
        command.stderr(Stdio::from(slave));
        let lead = || {
            // SAFETY: both are async-signal-safe system calls on the new process itself; 0 is its terminal.
            unsafe {
                checked(setsid())?;
                checked(ioctl(0, TIOCSCTTY, 0))?;
            }
            Ok(())
        };
        // SAFETY: `lead` makes system calls only, allocates nothing and takes no lock.
        unsafe { command.pre_exec(lead) };
        let child = command.spawn()?;
        Ok(Self { master: master.into(), child })
    }

    /// Gives it another size; its programs are told.
    pub(crate) fn resize(&self, rows: u16, cols: u16) {
        let size = Size { rows, cols, width: 0, height: 0 };
        // SAFETY: the master is open and TIOCSWINSZ reads one `Size`. When it fails, the old size stays.
        unsafe { ioctl(self.master.as_raw_fd(), TIOCSWINSZ, &raw const size) };
    }

    /// Tells the session that its line is gone, and ends its leader.
    pub(crate) fn hang_up(&mut self) {
        let pid = self.child.id() as c_int;
        // SAFETY: a signal to the group of a child that was not waited for: its number cannot be another's.
        unsafe { kill(-pid, SIGHUP) };
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
