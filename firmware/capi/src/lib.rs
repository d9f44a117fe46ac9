//! The runtime as a static library for C; the header that `dtmm export` writes describes each function.
//!
//! A model lives in memory that the caller gives ([`Model`]); nothing is allocated and there is no global state.
#![no_std]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use core::ffi::c_void;
use core::mem::{align_of, size_of};
use core::{ptr, slice};

use dtmm_format::{ALIGNMENT, Package};
use dtmm_runtime::{Hook, NoHook, RunError, Runtime};

/// Success.
const OK: u8 = 0;
/// A pointer is null.
const NULL: u8 = 96;
/// The package does not lie at a multiple of 16.
const PACKAGE_ALIGNMENT: u8 = 97;
/// The arena does not lie at a multiple of 16.
const ARENA_ALIGNMENT: u8 = 98;
/// The model was not made by `dtmm_create`.
const NOT_CREATED: u8 = 99;

const WORDS: usize = 40;
const CREATED: u32 = 0x4d4d_5444;

/// `dtmm_model`: room for a runtime.
#[repr(C)]
pub struct Model {
    created: u32,
    runtime: [u32; WORDS],
}

const _: () = assert!(size_of::<Runtime<'static>>() <= size_of::<[u32; WORDS]>());
const _: () = assert!(align_of::<Runtime<'static>>() <= align_of::<u32>());

/// `dtmm_layer_callback`: layer index, its output, its length, the caller's pointer.
type Callback = unsafe extern "C" fn(u16, *const i8, usize, *mut c_void);

/// # Safety
/// `package` is null or points to `len` readable bytes that stay as they are.
unsafe fn checked(package: *const u8, len: usize) -> Result<Package<'static>, u8> {
    if package.is_null() {
        return Err(NULL);
    }
    if !package.addr().is_multiple_of(ALIGNMENT) {
        return Err(PACKAGE_ALIGNMENT);
    }
    // SAFETY: as this function's.
    let bytes = unsafe { slice::from_raw_parts(package, len) };
    Package::check(bytes).map_err(|error| error.code())
}

/// # Safety
/// `model` is null or points to a model that nobody else uses now.
unsafe fn runtime<'a>(model: *mut Model) -> Result<&'a mut Runtime<'static>, u8> {
    // SAFETY: as this function's.
    let model = unsafe { model.as_mut() }.ok_or(NULL)?;
    if model.created != CREATED {
        return Err(NOT_CREATED);
    }
    // SAFETY: `dtmm_create` has written a runtime there, which size and alignment allow.
    Ok(unsafe { &mut *model.runtime.as_mut_ptr().cast() })
}

/// Checks a package.
///
/// # Safety
/// `package` points to `package_bytes` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dtmm_check(package: *const u8, package_bytes: usize) -> u8 {
    // SAFETY: as this function's.
    unsafe { checked(package, package_bytes) }.err().unwrap_or(OK)
}

/// Bytes of the arena that a package needs; 0 for one that is refused.
///
/// # Safety
/// As [`dtmm_check`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dtmm_arena_bytes(package: *const u8, package_bytes: usize) -> usize {
    // SAFETY: as this function's.
    unsafe { checked(package, package_bytes) }.map_or(0, |p| p.arena_bytes())
}

/// Checks a package and binds it to an arena.
///
/// # Safety
/// `package` as for [`dtmm_check`], unchanged as long as the model is used; `arena` points to `arena_bytes` bytes that only
/// the model uses; `model` points to a `dtmm_model`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dtmm_create(
    model: *mut Model,
    package: *const u8,
    package_bytes: usize,
    arena: *mut i8,
    arena_bytes: usize,
) -> u8 {
    // SAFETY: as this function's.
    unsafe { create(model, package, package_bytes, (arena, arena_bytes)) }.err().unwrap_or(OK)
}

/// # Safety
/// As [`dtmm_create`].
unsafe fn create(
    model: *mut Model,
    package: *const u8,
    package_bytes: usize,
    (arena, arena_bytes): (*mut i8, usize),
) -> Result<(), u8> {
    // SAFETY: as this function's; the word is written before anything reads it.
    unsafe { (&raw mut (*model.as_mut().ok_or(NULL)?).created).write(0) };
    // SAFETY: as this function's.
    let package = unsafe { checked(package, package_bytes) }?;
    if arena.is_null() {
        return Err(NULL);
    }
    if !arena.addr().is_multiple_of(ALIGNMENT) {
        return Err(ARENA_ALIGNMENT);
    }
    // SAFETY: as this function's.
    let arena = unsafe { slice::from_raw_parts_mut(arena, arena_bytes) };
    let runtime = Runtime::new(package, arena).map_err(RunError::code)?;
    // SAFETY: the model has room for it.
    unsafe {
        (&raw mut (*model).runtime).cast::<Runtime<'static>>().write(runtime);
        (*model).created = CREATED;
    }
    Ok(())
}

/// The values of input `index`, to be written before each run; null when there is none.
///
/// # Safety
/// `model` points to a `dtmm_model`, `elements` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dtmm_input(model: *mut Model, index: usize, elements: *mut usize) -> *mut i8 {
    // SAFETY: as this function's.
    unsafe { port(model, index, false, elements) }
}

/// The values of output `index` of the last run; null when there is none.
///
/// # Safety
/// As [`dtmm_input`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dtmm_output(model: *mut Model, index: usize, elements: *mut usize) -> *const i8 {
    // SAFETY: as this function's.
    unsafe { port(model, index, true, elements) }
}

/// The values of an input or output; null when there is none.
///
/// # Safety
/// As [`dtmm_input`].
#[inline(never)]
unsafe fn port(model: *mut Model, index: usize, is_output: bool, elements: *mut usize) -> *mut i8 {
    // SAFETY: as this function's.
    let (values, len) = match unsafe { runtime(model) } {
        Ok(runtime) if is_output => {
            let values = runtime.output(index);
            (values.as_ptr().cast_mut(), values.len())
        }
        Ok(runtime) => {
            let values = runtime.input_mut(index);
            (values.as_mut_ptr(), values.len())
        }
        Err(_) => (ptr::null_mut(), 0),
    };
    // SAFETY: as this function's.
    unsafe { tell(elements, len) };
    if len == 0 { ptr::null_mut() } else { values }
}

/// # Safety
/// `to` is null or can be written.
unsafe fn tell(to: *mut usize, n: usize) {
    // SAFETY: as this function's.
    if let Some(to) = unsafe { to.as_mut() } {
        *to = n;
    }
}

/// Runs all layers.
///
/// # Safety
/// `model` points to a `dtmm_model`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dtmm_run(model: *mut Model) -> u8 {
    // SAFETY: as this function's.
    let result = unsafe { runtime(model) }.and_then(|r| r.run_with(&mut NoHook).map_err(RunError::code));
    result.err().unwrap_or(OK)
}

/// Runs all layers and calls `callback` after each.
///
/// # Safety
/// `model` points to a `dtmm_model`; `callback` may be called with `user`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dtmm_run_with(
    model: *mut Model,
    callback: Option<Callback>,
    user: *mut c_void,
) -> u8 {
    let Some(callback) = callback else { return NULL };
    let mut hook = Layers { callback, user };
    // SAFETY: as this function's.
    let result = unsafe { runtime(model) }.and_then(|r| r.run_with(&mut hook).map_err(RunError::code));
    result.err().unwrap_or(OK)
}

struct Layers {
    callback: Callback,
    user: *mut c_void,
}

impl Hook for Layers {
    fn after(&mut self, index: u16, output: &[i8]) {
        // SAFETY: the caller of `dtmm_run_with` allows it.
        unsafe { (self.callback)(index, output.as_ptr(), output.len(), self.user) }
    }
}

/// The library holds nothing that panics; the compiler asks for this all the same.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
