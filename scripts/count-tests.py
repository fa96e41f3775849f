#!/usr/bin/env python3
"""Counts the test cases in xunit files and prints "N passed, M failed".

A skipped test counts as failed, and so does a run without any test.
"""

import glob
import sys
import xml.etree.ElementTree as ElementTree


def main(names):
    passed = failed = 0
    for name in names:
        if not glob.glob(name):
            continue
        try:
            cases = list(ElementTree.parse(name).iter("testcase"))
        except ElementTree.ParseError as error:
            print(f"count-tests: {name} is incomplete, so the test process must have died: {error}")
            failed += 1
            continue
        for case in cases:
            skipped = case.find("skipped") is not None
            if skipped:
                print(f"count-tests: {case.get('classname')}.{case.get('name')} was skipped")
            if skipped or case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            else:
                passed += 1
    if passed + failed == 0:
        print("count-tests: no test was run")
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
