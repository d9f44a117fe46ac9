#![no_main]
//! Packages: one that passes the check runs without a panic and without an error, whatever is in it.

use dtmm_format::{Package, header};
use dtmm_runtime::Runtime;
use libfuzzer_sys::fuzz_target;

/// Larger arenas cost time and reach no other code.
const MAX_ARENA: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    // A package lies at a multiple of 16.
    let mut words = vec![0u128; bytes.len().div_ceil(16)];
    let blob = &mut bytemuck::cast_slice_mut::<u128, u8>(&mut words)[..bytes.len()];
    blob.copy_from_slice(bytes);
    run(blob);
    // Hardly a mutation keeps the checksum, so that it is put right here.
    if header::seal(blob).is_ok() {
        run(blob);
    }
});

fn run(blob: &[u8]) {
    let Ok(package) = Package::check(blob) else { return };
    read_names(&package);
    if package.arena_bytes() > MAX_ARENA {
        return;
    }
    let mut arena = vec![0i8; package.arena_bytes()];
    let inputs = package.inputs().count();
    let Ok(mut runtime) = Runtime::new(package, &mut arena) else { return };
    for i in 0..inputs {
        let values = runtime.input_mut(i).iter_mut();
        values.zip((0..=255u8).cycle()).for_each(|(v, x)| *v = x as i8);
    }
    runtime.run().expect("a checked package runs");
}

fn read_names(package: &Package) {
    let _ = package.model_name();
    assert!(package.layer_names().count() <= package.layers().count());
    let _ = package.port_info().count();
    let _ = package.preprocessing();
}
