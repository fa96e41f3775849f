// A file system (VFS) for SQLite that fails on demand, for tests.
#pragma once

// Registers the file system "nearfar-faults", which passes all calls on to the default one unless a failure is due.
// Returns SQLite's code. May be called again.
int nf_faults_register(void);

// From now on the n-th write, flush or truncation (1 is the next) fails with SQLite's `code`, and so do all later ones
// when `stays` is not 0. With n = 0 none fails.
void nf_faults_arm(long n, int code, int stays);

// From now on the n-th read (1 is the next) and all later ones fail with SQLite's `code`. With n = 0 none fails.
void nf_faults_arm_reads(long n, int code);

// The number of reads since the last call of nf_faults_arm_reads.
long nf_faults_reads_seen(void);

// The number of writes, flushes and truncations since the last call of nf_faults_arm.
long nf_faults_seen(void);
