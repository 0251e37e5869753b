"""How near the chat oracle comes to the ideal, against a server that takes a fixed time for each judgement.

    python benchmarks/oracle_http.py [--judgements 1000] [--concurrency 64] [--latency 0.2]

Side by side in one run, against one server process: a sequential client (over fewer requests), the bare
AsyncOpenAI with a semaphore, and the chat oracle with a run's ledger. Prints seconds, the ratio to the ideal
(requests / concurrency x latency, in whole waves), and peak memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SERVER = r"""
import asyncio, json, re, sys

async def serve(reader, writer):
    try:
        while line := await reader.readline():
            length = 0
            while (header := await reader.readline()) not in (b"\r\n", b""):
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            body = json.loads(await reader.readexactly(length))
            mark = re.search(r"mark of this request is (\w+)", body["messages"][-1]["content"])
            await asyncio.sleep(float(sys.argv[1]))
            verdict = {"mark": mark[1] if mark else "", "label": "proper", "categories": [],
                       "rationale": "fine", "refusal": False, "aspect": "harmless", "severity": 0}
            message = {"role": "assistant", "content": json.dumps(verdict)}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            usage = {"prompt_tokens": 500, "completion_tokens": 40, "total_tokens": 540}
            said = json.dumps({"id": "x", "object": "chat.completion", "created": 0, "model": "m",
                               "choices": [choice], "usage": usage}).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            writer.write(head % len(said) + said)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


async def bare(url: str, bodies: list[dict[str, object]], concurrency: int) -> None:
    """AsyncOpenAI and a semaphore: no retries, no checks, no ledger."""
    from openai import AsyncOpenAI

    slots = asyncio.Semaphore(concurrency)
    async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:

        async def one(body: dict[str, object]) -> str:
            async with slots:
                reply = await client.chat.completions.create(**body)  # type: ignore[call-overload]
                return str(json.loads(reply.choices[0].message.content)["label"])

        await asyncio.gather(*(one(b) for b in bodies))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judgements", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.2)
    given = parser.parse_args()
    os.environ["BENCH_KEY"] = "none"
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(given.latency)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        measure(f"http://127.0.0.1:{server.stdout.readline().strip()}/v1", given)
    finally:
        server.kill()


def measure(url: str, given: argparse.Namespace) -> None:
    from iteralign.data.categories import CATEGORIES
    from iteralign.engines.openai.generator import OpenAIEngine
    from iteralign.oracles.chat.oracle import ChatOracle
    from iteralign.prompts.render import render
    from iteralign.records.chat import Message, SamplingParams
    from iteralign.records.iteralign import Exchange, RedTeamPrompt, Response
    from iteralign.store.run import Run

    prompts = [
        RedTeamPrompt(messages=(Message("user", f"question {i}?"),), source="bench")
        for i in range(given.judgements)
    ]
    params = SamplingParams()
    exchanges = [
        Exchange(
            prompt=p,
            response=Response(prompt_id=p.id, text=f"answer {i}", finish="stop", model="m", sampling=params),
        )
        for i, p in enumerate(prompts)
    ]
    system = render("judge", categories=CATEGORIES)
    bodies: list[dict[str, object]] = [
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": f"The mark of this request is x{i}."},
            ],
        }
        for i in range(given.judgements)
    ]
    few = min(25, given.judgements)
    ideal = math.ceil(given.judgements / given.concurrency) * given.latency
    exact = given.judgements / given.concurrency * given.latency

    started = time.perf_counter()
    asyncio.run(bare(url, bodies[:few], 1))
    sequential = (time.perf_counter() - started) / few * given.judgements
    started = time.perf_counter()
    asyncio.run(bare(url, bodies, given.concurrency))
    raw = time.perf_counter() - started
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder, Run.create(Path(folder) / "run", {}, "") as run:
        engine = OpenAIEngine("m", url, "BENCH_KEY", concurrency=given.concurrency, ledger=run.calls)
        oracle = ChatOracle(engine, engine, name="bench", categories=CATEGORIES)
        oracle.judge(exchanges[:1])  # the start: imports, and what the server can do
        started = time.perf_counter()
        verdicts = oracle.judge(exchanges)
        ours = time.perf_counter() - started
        started = time.perf_counter()
        oracle.judge(exchanges)
        again = time.perf_counter() - started
        calls = sum(s.calls for s in run.calls.spent())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert len(verdicts) == given.judgements == calls
    assert all(re.fullmatch("proper", v.label) for v in verdicts)

    print(
        f"{given.judgements} judgements, concurrency {given.concurrency}, latency {given.latency} s: "
        f"ideal {exact:.2f} s ({ideal:.2f} s in whole waves)"
    )
    print("| client | seconds | / ideal | / whole waves |\n|---|---|---|---|")
    for name, seconds in (
        (f"sequential ({few} requests, scaled)", sequential),
        ("bare AsyncOpenAI", raw),
        ("chat oracle", ours),
        ("again, from the ledger", again),
    ):
        print(f"| {name} | {seconds:.2f} | {seconds / exact:.2f} | {seconds / ideal:.2f} |")
    print(f"peak memory grew by {grown / 1024:.0f} MiB during the oracle's part")


if __name__ == "__main__":
    main()
