"""One page a paper: which parts, which settings, the published numbers beside ours."""

from nelbo.papers import (
    balle2018,
    bamler2017,
    boyd2020,
    buchholz2018,
    jirasek2020,
    kingma2014,
    kingma2019,
    li2018,
    mandt2014,
    mandt2016,
    mandt2017,
    marino2018,
    marino2020,
    mnih2014,
    mnih2016,
    recognition_models,
    rezende2014,
    swiatkowski2020,
    townsend2019,
    wenzel2020,
    yang2020,
    yang2020vbq,
    yang2022,
    zhang2017,
    zhang2019,
)
from nelbo.papers.bibliography import BIBLIOGRAPHY
from nelbo.papers.figures import Axes, Figure
from nelbo.papers.measures import Study, measured_arrays
from nelbo.papers.page import PROVENANCE, Claim, Page, Plan, Published, chosen_parts
from nelbo.papers.parts import Measure, Part, Trial, finished_part

PAGES = (
    kingma2014.PAGE,
    mnih2014.PAGE,
    mnih2016.PAGE,
    rezende2014.PAGE,
    townsend2019.PAGE,
    kingma2019.PAGE,
    bamler2017.PAGE,
    boyd2020.PAGE,
    buchholz2018.PAGE,
    marino2018.PAGE,
    mandt2014.PAGE,
    mandt2016.PAGE,
    mandt2017.PAGE,
    swiatkowski2020.PAGE,
    wenzel2020.PAGE,
    jirasek2020.PAGE,
    zhang2017.PAGE,
    zhang2019.PAGE,
    recognition_models.PAGE,
    balle2018.PAGE,
    yang2020.PAGE,
    yang2020vbq.PAGE,
    yang2022.PAGE,
    li2018.PAGE,
    marino2020.PAGE,
)
PAPERS: dict[str, Page] = {page.key: page for page in PAGES}

__all__ = [
    "BIBLIOGRAPHY",
    "PAPERS",
    "PROVENANCE",
    "Axes",
    "Claim",
    "Figure",
    "Measure",
    "Page",
    "Part",
    "Plan",
    "Published",
    "Study",
    "Trial",
    "chosen_parts",
    "finished_part",
    "measured_arrays",
]
