//! Targets, works, due times, prices and multipliers.

use serde_json::{Value, json};

use super::page::*;

fn targets() -> Vec<Value> {
    let mut all = Vec::new();
    for net in [MAIN, TEST, DEV] {
        let due = 1_800_000_000u64;
        let early = [
            0,
            1,
            2,
            41,
            42,
            300,
            1_349,
            1_350,
            1_351,
            2_699,
            2_700,
            2_701,
            5_400,
            27_000,
            100_000,
            234_899,
            234_900,
            235_000,
            540_001,
            1_800_000_000,
        ];
        let pairs = early.map(|seconds| (due - seconds, due)).into_iter().chain([
            (due + 1, due),
            (due + 1_000_000, due),
            (u64::MAX, 0),
            (0, u64::MAX),
            (u64::MAX, u64::MAX),
        ]);
        for (time, due) in pairs {
            let target = target(net, time, due);
            all.push(json!({
                "network": net.name,
                "time": time,
                "due": due,
                "target": target,
                "value": target_value(target).to_string(),
                "work": target_work(target).to_string(),
            }));
        }
    }
    all
}

fn dues() -> Vec<Value> {
    let cases = [
        (MAIN, 1_000, 1_000),
        (MAIN, 1_000, 999),
        (MAIN, 1_000, 1_001),
        (MAIN, 1_000, 5_000_000),
        (DEV, 1_000, 1_001),
        (MAIN, u64::MAX - 120, 0),
        (MAIN, u64::MAX - 119, 0),
        (MAIN, 0, u64::MAX),
    ];
    cases
        .map(|(net, due, time)| {
            json!({
                "network": net.name,
                "parent_due": due,
                "parent_time": time,
                "due": next_due(net, due, time),
            })
        })
        .into()
}

fn prices() -> Vec<Value> {
    let mut all = Vec::new();
    for net in [MAIN, TEST, DEV] {
        for p in [1_024, 1_025, 1_152, 5_000, 1 << 31] {
            for name in ["abc", "abcd", "abcde", "abcdef"] {
                all.push(json!({
                    "network": net.name,
                    "multiplier": p,
                    "name": name,
                    "registration": registration(net, name, p),
                    "renewal": renewal(net, name),
                }));
            }
            let records: Vec<Value> = [0, 1, 511, 512, 513, 716, 1_024, 1_025, 4_095, 4_096]
                .map(|n| json!({ "bytes": n, "price": records_price(net, n, p) }))
                .into();
            all.push(json!({
                "network": net.name,
                "multiplier": p,
                "commitment": scaled(net.base, p),
                "rescue": rescue(net),
                "records": records,
            }));
        }
    }
    all
}

fn multipliers() -> Vec<Value> {
    let mut all = Vec::new();
    let mut add = |which: &str, net: Net, p: u32, c: u64, aim: u64, dt: u64| {
        all.push(json!({
            "which": which,
            "network": net.name,
            "parent": p,
            "counted": c,
            "seconds": dt,
            "next": next_multiplier(net, p, c, aim, dt),
        }));
    };
    for p in [1_024, 1_031, 1_032, 8_192, 8_193, 1 << 31, (1 << 31) - 1] {
        for c in [0, 1, 13, 19, 20, 21, 33, 39, 40, 41, 500] {
            for dt in [0, 1, 60, 119, 120, 121, 1_000_000] {
                if dt == 120 || p == 8_192 || c == 0 {
                    add("names", MAIN, p, c, 20, dt);
                }
            }
        }
        for c in [0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 229_376] {
            for dt in [0, 60, 120, 121] {
                if dt == 120 || p == 8_192 {
                    add("bytes", MAIN, p, c, 65_536, dt);
                }
            }
        }
    }
    add("names", DEV, 1_024, 40, 20, 1);
    add("names", DEV, 1_024, 0, 20, 1);
    add("bytes", DEV, 1_024, 131_072, 65_536, 1);
    add("names", TEST, 8_192, 0, 20, 60);
    all
}

pub fn numbers() -> Value {
    json!({
        "about": "Targets (shift and mantissa in 32 bits), their values and works; due times; prices, in expected hashes; multipliers \
                  after a block, from the one before, what is counted in the block, and the seconds since its parent.",
        "targets": targets(),
        "dues": dues(),
        "prices": prices(),
        "multipliers": multipliers(),
    })
}
