#!/usr/bin/env python3
"""Unmodified programs in the lab. usage: tools_test.py ANYBIND"""

import lab_case
from lab_case import LabCase, needs


class Lspci(LabCase):
    @needs("lspci")
    def test_nnk(self) -> None:
        out = self.lab("lspci -nnk 2>/dev/null")
        self.assertIn("03:00.0 VGA compatible controller [0300]: ", out)
        self.assertIn("[1002:67df] (rev e7)\n", out)
        self.assertIn("\tKernel driver in use: amdgpu\n", out)


if __name__ == "__main__":
    lab_case.main()
